"""Convolution of changed windows, which are surrounded by zeros and need only some outputs."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from model.maps.incremental import fast_convolution
from model.maps.incremental.fast_convolution import FastConvolution
from model.maps.incremental.graph import Convolution
from model.maps.incremental.scratch import Scratch
from model.maps.incremental.windows import Kernel, Span, Spans, kernel_of

# Time of a multiplication in the fast convolution, relative to one in a plain one; measured.
SLOWER = 1.35

# Larger blocks round too coarsely in bfloat16: with blocks up to 2, 3, 4 and 6, the rank
# correlation of VGG-19's map with the one in float32 is 0.9995, 0.9985, 0.995 and 0.96.
LARGEST_IN_LOWER_PRECISION = 3


class WindowConvolution:
    """A convolution, without its bias, prepared for windows of certain sizes."""

    def __init__(
        self, convolution: Convolution, sizes: Sequence[tuple[int, int]], products: torch.dtype
    ) -> None:
        """
        Args:
            sizes: height and width of every window to come; a size may occur several times.
            products: type in which numbers are multiplied.
        """
        self.convolution = convolution
        self.kernels = (kernel_of(convolution, 0), kernel_of(convolution, 1))
        block = best_block(convolution, sizes, products)
        self.fast = FastConvolution(convolution.weight, block, products) if block else None
        self.weight = convolution.weight.to(products)

    def __call__(self, windows: Tensor, inputs: Spans, outputs: Spans, scratch: Scratch) -> Tensor:
        """Convolve windows.

        Args:
            windows: (N, height, width, channels); zero outside.
            inputs: where they lie.
            outputs: which outputs to compute.
            scratch: memory for intermediate values.

        Returns:
            (N, height, width, channels), with the sizes of `outputs`.
        """
        if self.fast is not None:
            found = self.fast(windows, scratch)
            skipped = [
                wanted.first - kernel.outputs_of(given.interval(0))[0]
                for given, wanted, kernel in zip(inputs, outputs, self.kernels, strict=True)
            ]
        else:
            sides = [
                zeros_around(kernel, given, wanted)
                for kernel, given, wanted in zip(self.kernels, inputs, outputs, strict=True)
            ]
            found = self._plain(windows, (sides[0][0], sides[1][0]))
            skipped = [skip for _, skip in sides]
        return found.narrow(1, skipped[0], outputs[0].size).narrow(2, skipped[1], outputs[1].size)

    def multiplications(self, height: int, width: int) -> float:
        """Estimate the multiplications for one window."""
        if self.fast is not None:
            return self.fast.multiplications(height, width)
        return height * width * self.weight.numel() / prod(self.convolution.stride)

    def _plain(self, windows: Tensor, padding: tuple[int, int]) -> Tensor:
        convolution = self.convolution
        given = windows.to(self.weight.dtype)
        alone = self.weight.shape[2:] == (1, 1) and convolution.groups == 1
        if alone and convolution.stride == (1, 1) and padding == (0, 0):
            found = given @ self.weight.flatten(1).t()
        else:
            found = functional.conv2d(
                given.permute(0, 3, 1, 2),
                self.weight,
                None,
                convolution.stride,
                padding,
                convolution.dilation,
                convolution.groups,
            ).permute(0, 2, 3, 1)
        return found.to(windows.dtype)


def zeros_around(kernel: Kernel, inputs: Span, outputs: Span) -> tuple[int, int]:
    """Find the padding with which a convolution covers the wanted outputs.

    Returns:
        Zeros to add at both ends of a window, and how many outputs to skip at the beginning.
    """
    begin, end = kernel.inputs_of(outputs.interval(0))
    before, after = inputs.first - begin, end - (inputs.first + inputs.size)
    padding = max(before, after, 0)
    padding += (before - padding) % kernel.stride
    return padding, (padding - before) // kernel.stride


def best_block(
    convolution: Convolution, sizes: Sequence[tuple[int, int]], products: torch.dtype
) -> int | None:
    """Return the block size of the fast convolution with the least work; None if plain is faster.

    In lower precision, consider only small blocks, which round little worse than a plain one.
    """
    outputs, channels, *kernel = convolution.weight.shape
    fits = (
        kernel == [fast_convolution.KERNEL] * 2
        and convolution.stride == convolution.dilation == (1, 1)
        and max(convolution.padding) < fast_convolution.KERNEL
        and convolution.groups == 1
        and not convolution.weight.is_cuda
    )
    if not fits:
        return None
    full = products == convolution.weight.dtype
    blocks = [b for b in fast_convolution.POINTS if full or b <= LARGEST_IN_LOWER_PRECISION]
    plain = sum(height * width for height, width in sizes) * convolution.weight.numel()
    work = {
        block: SLOWER
        * sum(fast_convolution.work(block, channels, outputs, *size) for size in sizes)
        for block in blocks
    }
    best = min(work, key=work.__getitem__)
    return best if work[best] < plain else None
