"""Run the network step by step on the image in which nothing is hidden."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.maps.incremental import graph
from model.maps.incremental.graph import Operation, Step
from model.maps.incremental.windows import Spans

Margins = tuple[tuple[int, int], tuple[int, int]]  # above and below, left and right


def clean_outputs(steps: Sequence[Step], images: Tensor) -> list[Tensor]:
    """Compute the output of every step for images (B, C, H, W)."""
    outputs = [images.contiguous(memory_format=torch.channels_last)]
    for step in steps[1:]:
        outputs.append(apply(step.operation, [outputs[source] for source in step.inputs]))
    return outputs


def apply(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """Run one operation of a network."""
    first = inputs[0]
    match operation:
        case graph.Convolution(weight, bias, stride, padding, dilation, groups):
            return functional.conv2d(first, weight, bias, stride, padding, dilation, groups)
        case graph.Scale(factor, shift):
            sides = (1, -1, 1, 1)
            return first * factor.to(first.dtype).view(sides) + shift.to(first.dtype).view(sides)
        case graph.ReLU():
            return first.clamp(min=0)
        case graph.MaxPool(kernel, stride, padding, dilation, ceil_mode, rectify):
            pooled = functional.max_pool2d(first, kernel, stride, padding, dilation, ceil_mode)
            return pooled.clamp(min=0) if rectify else pooled
        case graph.AveragePool(kernel, stride, padding, ceil_mode, count_pad, divisor):
            return functional.avg_pool2d(
                first, kernel, stride, padding, ceil_mode, count_pad, divisor
            )
        case graph.AdaptiveAveragePool(size, keep_sides):
            pooled = functional.adaptive_avg_pool2d(first, size)
            return pooled if keep_sides else pooled.flatten(1)
        case graph.AdaptiveMaxPool(size):
            # Unlike the module, the function is not declared to take None for "unchanged".
            largest: Tensor = nn.AdaptiveMaxPool2d(size)(first)
            return largest
        case graph.Concatenation():
            return torch.cat(list(inputs), dim=1)
        case graph.Sum():
            return first + inputs[-1]
        case graph.Flatten():
            return first.flatten(1)
        case graph.Linear(weight, bias):
            return functional.linear(first, weight, bias)
        case graph.Image():
            return first


class CleanMap:
    """A layer's values, with margins, so that windows beyond its border are views, not copies."""

    def __init__(self, values: Tensor, margins: Margins, beyond: float) -> None:
        """
        Args:
            values: (C, H, W).
            margins: elements that may be read beyond the border: above and below, left and right.
            beyond: the value there.
        """
        (above, below), (left, right) = margins
        channels, height, width = values.shape
        self.origin = (above, left)
        self.values = values.new_full(
            (height + above + below, width + left + right, channels), beyond
        )
        self.values[above : above + height, left : left + width] = values.permute(1, 2, 0)

    def windows(self, spans: Spans, counts: tuple[int, int]) -> Tensor:
        """Return the windows of a group as a view (rows, columns, height, width, C)."""
        rows, columns = spans
        width, channels = self.values.shape[1:]
        down, across = width * channels, channels
        first = (self.origin[0] + rows.first) * down + (self.origin[1] + columns.first) * across
        return self.values.as_strided(
            (*counts, rows.size, columns.size, channels),
            (rows.step * down, columns.step * across, down, across, 1),
            self.values.storage_offset() + first,
        )
