"""3 × 3 convolution with a quarter of the multiplications.

A block of m × m inputs is transformed into values at (m + 2)² points, where convolution is a
product. Products are transformed back and added where blocks overlap. (Toom and Cook; Winograd's is
the transposed form, which needs more blocks when windows are smaller than their outputs.)

Source: Lavin and Gray, CVPR 2016, arXiv:1509.09308; choice of points for small rounding errors:
Barabasz et al., ACM TOMS 2020, arXiv:1803.10986.
"""

import math
from functools import cache

import torch
from torch import Tensor

from model.maps.incremental.scratch import Scratch

KERNEL = 3

# Finite points for each block size, to which infinity is added. Found by a search for the smallest
# rounding error in float32: 1, 1.5, 2.5, 6 and 13 times that of a plain convolution, for blocks of
# 2, 3, 4, 5 and 6.
POINTS: dict[int, tuple[float, ...]] = {
    2: (0, 1, -1),
    3: (2 / 5, -2 / 5, 4 / 3, -4 / 3),
    4: (0, 2 / 3, -2 / 3, 8 / 5, -8 / 5),
    5: (1 / 3, -1 / 3, 5 / 6, -5 / 6, 19 / 10, -19 / 10),
    6: (0, 1 / 2, -1 / 2, 1, -1, 2, -2),
}

# Time to write and read a number, in multiplications.
MOVE = 6.0

# Weights are transformed in parts, because that takes several times their memory.
OUTPUTS_AT_ONCE = 64


@cache
def transforms(block: int) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the transforms for a block and a kernel of 3, along one side.

    Returns:
        Matrices for the block (n, m), the kernel (n, 3) and the products (n, n), with n = m + 2,
        in float64: products @ ((block @ x) * (kernel @ w)) is the polynomial product of x and w.
    """
    points = torch.tensor(POINTS[block], dtype=torch.float64)
    size = block + KERNEL - 1

    def values_of(count: int) -> Tensor:
        values = torch.zeros(size, count, dtype=torch.float64)
        values[:-1] = points[:, None] ** torch.arange(count)
        values[-1, -1] = 1  # at infinity
        return values

    inputs, kernel = values_of(block), values_of(KERNEL)
    products = torch.linalg.inv(values_of(size))
    # Rows may be scaled freely; equal magnitudes on both sides keep rounding errors small.
    scale = kernel.abs().sum(dim=1)
    kernel, products = kernel / scale[:, None], products * scale
    balance = (inputs.norm(dim=1) / products.norm(dim=0)).sqrt()
    return inputs / balance[:, None], kernel, products * balance


def blocks_in(height: int, width: int, block: int) -> int:
    """Count the blocks that cover a window."""
    return math.ceil(height / block) * math.ceil(width / block)


def multiplications(block: int, channels: int, outputs: int, height: int, width: int) -> int:
    """Count the multiplications for one window, including those of the transforms."""
    points = (block + KERNEL - 1) ** 2
    products = points * channels * outputs
    transformed = points * (block**2 * channels + points * outputs)
    return blocks_in(height, width, block) * (products + transformed)


def work(block: int, channels: int, outputs: int, height: int, width: int) -> float:
    """Estimate the work for one window in multiplications, including moving numbers in memory."""
    points = (block + KERNEL - 1) ** 2
    moved = channels * (2 * block**2 + points) + outputs * 4 * points
    multiplied = multiplications(block, channels, outputs, height, width)
    return multiplied + MOVE * blocks_in(height, width, block) * moved


class FastConvolution:
    """A 3 × 3 convolution of stride 1, its weight transformed for one size of block."""

    def __init__(self, weight: Tensor, block: int, products: torch.dtype) -> None:
        """
        Args:
            weight: (outputs, channels, 3, 3).
            block: side of the blocks, a key of `POINTS`.
            products: type in which numbers are multiplied; the transforms use the weight's type.
        """
        inputs, kernel, results = transforms(block)
        dtype = weight.dtype
        self.block = block
        self.inputs = torch.kron(inputs, inputs).to(dtype)
        self.results = torch.kron(results, results).to(dtype)
        # Convolution in networks is correlation: the polynomial's kernel runs the other way.
        flipped = weight.double().flip(2, 3)
        outputs, channels = weight.shape[:2]
        self.weight = weight.new_empty(len(kernel) ** 2, channels, outputs, dtype=products)
        for begin in range(0, outputs, OUTPUTS_AT_ONCE):
            part = slice(begin, begin + OUTPUTS_AT_ONCE)
            values = torch.einsum("ai,kcij,bj->abck", kernel, flipped[part], kernel)
            self.weight[:, :, part] = values.flatten(0, 1).to(products)

    def __call__(self, windows: Tensor, scratch: Scratch) -> Tensor:
        """Convolve windows that are zero outside.

        Args:
            windows: (N, height, width, channels).
            scratch: memory for intermediate values.

        Returns:
            (N, at least height + 2, at least width + 2, outputs); the first output is two elements
            before the first one whose kernel lies within the windows.
        """
        count, height, width, channels = windows.shape
        down, across = math.ceil(height / self.block), math.ceil(width / self.block)
        points, _, outputs = self.weight.shape
        blocks = count * down * across
        split = scratch.take(self.block, self.block, count, down, across, channels)
        split_into_blocks(windows, split)
        values = scratch.take(points, blocks * channels)
        torch.mm(self.inputs, split.view(self.block**2, -1), out=values)
        scratch.release(split)
        products = self._multiply(values.view(points, blocks, channels), scratch)
        scratch.release(values)
        results = scratch.take(points, blocks * outputs)
        torch.mm(self.results, products.view(points, -1), out=results)
        side = self.block + KERNEL - 1
        sides = (down * self.block + KERNEL - 1, across * self.block + KERNEL - 1)
        joined = scratch.take(count, *sides, outputs)
        overlap_blocks(results.view(side, side, count, down, across, outputs), joined)
        return joined

    def multiplications(self, height: int, width: int) -> int:
        """Count the multiplications for one window."""
        _, channels, outputs = self.weight.shape
        return multiplications(self.block, channels, outputs, height, width)

    def _multiply(self, values: Tensor, scratch: Scratch) -> Tensor:
        """Multiply (points, blocks, channels) by the weight: (points, blocks, outputs)."""
        if self.weight.dtype != values.dtype:
            return torch.bmm(values.to(self.weight.dtype), self.weight).to(values.dtype)
        products = scratch.take(*values.shape[:2], self.weight.shape[2])
        torch.bmm(values, self.weight, out=products)
        return products


def split_into_blocks(windows: Tensor, blocks: Tensor) -> None:
    """Copy (N, height, width, C) to (m, m, N, down, across, C), padded with zeros at the end."""
    side, (down, across) = blocks.shape[0], blocks.shape[3:5]
    height, width = windows.shape[1:3]
    if (height, width) != (down * side, across * side):
        blocks.zero_()
    for rows, in_block, block_rows in _block_parts(height, side):
        for columns, in_row, block_columns in _block_parts(width, side):
            target = blocks[:in_block, :in_row, :, block_rows, block_columns]
            part = windows[:, rows, columns]
            split = part.reshape(len(part), -1, in_block, target.shape[4], in_row, part.shape[-1])
            target.copy_(split.permute(2, 4, 0, 1, 3, 5))


def _block_parts(length: int, side: int) -> list[tuple[slice, int, slice]]:
    """Divide a side into its whole blocks and the incomplete one at the end.

    Returns:
        For each of the two, if there: the elements, how many of them per block, and which blocks.
    """
    whole, rest = divmod(length, side)
    parts = [(slice(0, whole * side), side, slice(0, whole))] if whole else []
    if rest:
        parts.append((slice(whole * side, length), rest, slice(whole, whole + 1)))
    return parts


def overlap_blocks(results: Tensor, windows: Tensor) -> None:
    """Place blocks side by side, m = n - 2 apart, and add where they overlap.

    Args:
        results: (n, n, N, down, across, C).
        windows: (N, down · m + 2, across · m + 2, C), contiguous; overwritten.
    """
    side, rest = results.shape[0] - KERNEL + 1, KERNEL - 1
    windows[:, -rest:] = 0
    windows[:, :, -rest:] = 0
    window, row, column, _ = windows.stride()

    def blocks(top: int, left: int, height: int, width: int) -> Tensor:
        """Return a part of every block as a view in the layout of `results`."""
        return windows.as_strided(
            (height, width, *results.shape[2:]),
            (row, column, window, side * row, side * column, 1),
            windows.storage_offset() + top * row + left * column,
        )

    blocks(0, 0, side, side).copy_(results[:side, :side])
    blocks(side, 0, rest, side).add_(results[side:, :side])
    blocks(0, side, side, rest).add_(results[:side, side:])
    blocks(side, side, rest, rest).add_(results[side:, side:])
