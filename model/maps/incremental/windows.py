"""Find which part of every layer a hidden patch can change, along one side of the image.

Height and width are treated separately. Patches whose windows have the same size and alignment in
every layer form a run; a run of rows times a run of columns is a group of patches that pass through
the network as one batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from model.maps.incremental.graph import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    Convolution,
    MaxPool,
    Operation,
    Step,
    Unsupported,
)

# Smallest saving that justifies one more run, as a share of all multiplications of a side.
WORTH_A_RUN = 0.02

# From this share of changed elements on, averaged over patches, a layer is processed as a whole.
WHOLE = 0.8

Interval = tuple[int, int]  # first element, and the one after the last


@dataclass(frozen=True, slots=True)
class Kernel:
    """The inputs that one output of an operation reads, along one side."""

    size: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    @property
    def reach(self) -> int:
        """Distance from the first to the last element that one output reads."""
        return (self.size - 1) * self.dilation

    def outputs_of(self, inputs: Interval) -> Interval:
        """Return the outputs that read any of an interval of inputs; at least one."""
        first = -((self.reach - self.padding - inputs[0]) // self.stride)
        last = (inputs[1] - 1 + self.padding) // self.stride
        return first, max(last, first) + 1

    def inputs_of(self, outputs: Interval) -> Interval:
        """Return the inputs that an interval of outputs reads, including padding."""
        first = outputs[0] * self.stride - self.padding
        return first, (outputs[1] - 1) * self.stride - self.padding + self.reach + 1


def kernel_of(operation: Operation, side: int) -> Kernel:
    """Return the kernel of an operation along the height (side 0) or the width (side 1)."""
    match operation:
        case Convolution():
            size, dilation = operation.weight.shape[2 + side], operation.dilation[side]
        case MaxPool():
            size, dilation = operation.kernel[side], operation.dilation[side]
        case AveragePool():
            size, dilation = operation.kernel[side], 1
        case _:
            return Kernel()
    return Kernel(size, operation.stride[side], operation.padding[side], dilation)


@dataclass(frozen=True, slots=True)
class Span:
    """Windows along one side: number i begins at first + i · step and has `size` elements.

    A window may extend beyond the layer, where nothing changes.
    """

    first: int
    step: int
    size: int

    def interval(self, index: int) -> Interval:
        """Return the first element of a window, and the one after its last."""
        start = self.first + index * self.step
        return start, start + self.size

    def beginning_at(self, index: int) -> "Span":
        """Return the windows from one number on."""
        return Span(self.first + index * self.step, self.step, self.size)


Spans = tuple[Span, Span]  # along the height and along the width


@dataclass(frozen=True, slots=True)
class Run:
    """Patch positions along one side that pass through the network together.

    Attributes:
        members: numbers of the positions.
        spans: windows in the output of each step.
    """

    members: tuple[int, ...]
    spans: tuple[Span, ...]

    def pieces(self, most: int) -> list["Run"]:
        """Cut into runs of at most `most` members, as equal as possible."""
        count = math.ceil(len(self.members) / most)
        cuts = [len(self.members) * number // count for number in range(count + 1)]
        return [
            Run(self.members[begin:end], tuple(span.beginning_at(begin) for span in self.spans))
            for begin, end in pairwise(cuts)
        ]


@dataclass(frozen=True)
class Side:
    """One side of the image and of every layer that has a height and a width.

    Attributes:
        steps: steps of the network, without those whose output has no sides.
        kernels: kernel of each step.
        lengths: length of each step's output.
        work: multiplications per element of each step's output, in the steps that use it.
        positions: first pixel of each patch, ascending.
        window: side of the patch, px.
    """

    steps: Sequence[Step]
    kernels: Sequence[Kernel]
    lengths: Sequence[int]
    work: Sequence[float]
    positions: Sequence[int]
    window: int

    @cached_property
    def whole(self) -> list[bool]:
        """For each step, whether its output is processed as a whole: patches change most of it.

        Never the image itself: a patch changes what it covers and nothing else, however large.
        """
        reaches = [self._reaches(position, self._never) for position in self.positions]
        whole: list[bool] = []
        for number, step in enumerate(self.steps):
            if not step.inputs:
                whole.append(False)
                continue
            length = self.lengths[number]
            changed = sum(
                min(high, length) - max(low, 0)
                for low, high in (reach[number] for reach in reaches)
            )
            whole.append(
                isinstance(step.operation, AdaptiveAveragePool | AdaptiveMaxPool)
                or any(whole[source] for source in step.inputs)
                or changed >= WHOLE * length * len(reaches)
            )
        return whole

    @property
    def _never(self) -> list[bool]:
        return [False] * len(self.steps)

    def _reaches(self, position: int, whole: Sequence[bool]) -> list[Interval]:
        """Find what a patch can change in each step's output, as if layers had no border."""
        reaches: list[Interval] = []
        for number, step in enumerate(self.steps):
            if whole[number]:
                reaches.append((0, self.lengths[number]))
            elif not step.inputs:
                reaches.append((position, position + self.window))
            else:
                outputs = [self.kernels[number].outputs_of(reaches[s]) for s in step.inputs]
                reaches.append((min(low for low, _ in outputs), max(high for _, high in outputs)))
        return reaches

    def _shifts(self, pixels: int) -> list[int] | None:
        """Find how far each step's window moves with the patch; None unless by whole elements."""
        shifts: list[int] = []
        for number, step in enumerate(self.steps):
            moved = {shifts[source] for source in step.inputs} or {pixels}
            stride = self.kernels[number].stride
            if self.whole[number]:
                shifts.append(0)
            elif len(moved) > 1:
                raise Unsupported("it joins layers of different stride")
            elif (shift := moved.pop()) % stride:
                return None
            else:
                shifts.append(shift // stride)
        return shifts

    def runs(self) -> list[Run]:
        """Divide the positions into runs so that little is computed beyond what can change."""
        spacing = self.positions[1] - self.positions[0] if len(self.positions) > 1 else 1
        regular = [
            number
            for number, position in enumerate(self.positions)
            if position == self.positions[0] + number * spacing
        ]
        apart = next(
            count
            for count in range(1, len(self.positions) + 1)
            if count == len(self.positions) or self._shifts(count * spacing) is not None
        )
        aligned = [regular[start::apart] for start in range(min(apart, len(regular)))]
        others = [[number] for number in range(len(regular), len(self.positions))]
        return [run for members in aligned + others for run in self._cut(members)]

    def _cut(self, members: Sequence[int]) -> list[Run]:
        """Cut aligned positions into the cheapest runs; windows near a border are smaller."""
        fee = WORTH_A_RUN * self._cost(self._run(members), members=len(self.positions))
        best: list[tuple[float, list[Run]]] = [(0.0, [])]
        for end in range(1, len(members) + 1):
            choices = []
            for begin in range(end):
                run = self._run(members[begin:end])
                choices.append((best[begin][0] + self._cost(run) + fee, [*best[begin][1], run]))
            best.append(min(choices, key=lambda choice: choice[0]))
        return best[-1][1]

    def _run(self, members: Sequence[int]) -> Run:
        """Find the smallest windows of equal size that hold all that the patches can change."""
        positions = [self.positions[number] for number in members]
        moved = self._shifts(positions[1] - positions[0]) if len(members) > 1 else None
        shifts = moved or [0] * len(self.steps)
        spans = []
        for (low, high), shift, length in zip(
            self._reaches(positions[0], self.whole), shifts, self.lengths, strict=True
        ):
            # Beyond the border of the layer nothing changes.
            starts = [low + index * shift for index in range(len(members))]
            before = min(min(max(-start, 0), high - low - 1) for start in starts)
            after = min(max(start + high - low - length, 0) for start in starts)
            size = max(high - low - before - after, 1)
            spans.append(Span(low + before, shift, size))
        return Run(tuple(members), tuple(spans))

    def _cost(self, run: Run, members: int | None = None) -> float:
        """Estimate the multiplications of a run, assuming that the other side has equal windows."""
        return (len(run.members) if members is None else members) * sum(
            work * span.size * min(span.size, length)
            for work, span, length in zip(self.work, run.spans, self.lengths, strict=True)
        )
