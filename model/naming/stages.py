"""The activations of any convolutional classifier at wanted strides, on one common grid."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def stage_activations(
    network: nn.Module, images: Tensor, strides: Sequence[int], *, classes: int
) -> list[Tensor]:
    """Return the last activation of a network at each of several strides.

    A stride is the number of input pixels per cell, to the nearest power of two. Outputs with as
    many channels as there are classes are left out: they belong to the head of a fully
    convolutional classifier. For a stride that the network does not have, the nearest one is used;
    no activation is returned twice.

    Args:
        network: maps (B, 3, S, S) to (B, classes); left unchanged.
        images: (B, 3, S, S), normalised as in training, on the network's device.
        strides: ascending.
        classes: number of the network's outputs.

    Returns:
        (B, C, h, w) each, finest first.

    Raises:
        ValueError: the network has no convolutional layer.
    """
    side = images.shape[-1]
    last: dict[float, Tensor] = {}
    with torch.inference_mode(), _outputs(network, classes) as outputs:
        network(images)
        for output in outputs:
            last[_octave(side, output)] = output
    if not last:
        raise ValueError("expected a network with convolutional layers, found none")
    nearest = {min(last, key=lambda has: (abs(has - np.log2(stride)), has)) for stride in strides}
    return [last[octave] for octave in sorted(nearest)]


@contextmanager
def _outputs(network: nn.Module, classes: int) -> Iterator[list[Tensor]]:
    """Inside the block, collect the maps that the network's modules return, in order."""
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        is_map = isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1
        if is_map and output.shape[1] != classes and output.shape[1] > 3:
            outputs.append(output)

    with ExitStack() as undo:
        for module in network.modules():
            undo.callback(module.register_forward_hook(keep).remove)
        yield outputs


def _octave(side: int, output: Tensor) -> int:
    """Return the binary logarithm of an output's stride, rounded."""
    return round(float(np.log2(side / output.shape[-1])))


def on_grid(activation: Tensor, side: int, grid: int) -> NDArray[np.float32]:
    """Resample an activation linearly to a grid over the whole input, averaging where it is finer.

    The cells of a layer are taken as centred in the input, which holds within half a stride of its
    input for any padding.

    Args:
        activation: (B, C, h, h).
        side: side of the network's input, px.
        grid: cells along each side of the result.

    Returns:
        (B, grid, grid, C).
    """
    values = activation.float().cpu().numpy()
    rows = resampling(values.shape[2], 2 ** _octave(side, activation), side, grid)
    down = np.tensordot(values, rows, axes=(2, 1))  # (B, C, w, grid)
    return np.ascontiguousarray(np.tensordot(down, rows, axes=(2, 1)).transpose(0, 2, 3, 1))


def resampling(cells: int, stride: int, side: int, grid: int) -> NDArray[np.float32]:
    """Return the (grid, cells) weights of linear resampling; every row adds up to 1."""
    step = side / grid
    sources = (side - 1 - stride * (cells - 1)) / 2 + stride * np.arange(cells)
    targets = (step - 1) / 2 + step * np.arange(grid)
    distance = np.abs(targets[:, None] - sources)
    weights = np.maximum(0, 1 - distance / max(step, stride))
    outside = weights.sum(axis=1) == 0
    weights[outside, distance[outside].argmin(axis=1)] = 1
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
