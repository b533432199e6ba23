"""Plan what does not depend on the image: groups of patches, their windows, prepared weights."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isqrt, prod

import torch

from model.maps.incremental import graph
from model.maps.incremental.clean import Margins
from model.maps.incremental.convolution import WindowConvolution
from model.maps.incremental.graph import Step
from model.maps.incremental.windows import Kernel, Run, Side, Span, Spans, kernel_of

# Patches that pass through the network as one batch, at most.
BATCH = 32

# Work per element of a layer besides its convolution, in multiplications.
PASSING = 40


@dataclass(frozen=True)
class Group:
    """Patches that pass through the network as one batch: a run of rows times a run of columns."""

    rows: Run
    columns: Run

    @property
    def counts(self) -> tuple[int, int]:
        """Return the number of rows and of columns of patches."""
        return len(self.rows.members), len(self.columns.members)

    def spans(self, step: int) -> Spans:
        """Return where the windows lie in the output of a step."""
        return self.rows.spans[step], self.columns.spans[step]


@dataclass(frozen=True)
class Plan:
    """A plan for passing the patches of an image through a network.

    Attributes:
        steps: steps of the network; those whose outputs have a height and a width come first.
        shapes: shape of each step's output, (C, H, W) or (C,).
        sides: height and width of the layers that have them.
        groups: groups of patches, those with the most work first.
        convolutions: number of a step → its convolution, prepared for the windows of the groups.
    """

    steps: Sequence[Step]
    shapes: Sequence[torch.Size]
    sides: tuple[Side, Side]
    groups: Sequence[Group]
    convolutions: dict[int, WindowConvolution]

    @property
    def sided(self) -> int:
        """Number of steps whose outputs have a height and a width."""
        return len(self.sides[0].steps)

    @property
    def entries(self) -> list[int]:
        """Numbers of the steps without sides whose input has sides."""
        return [
            number
            for number, step in enumerate(self.steps)
            if number >= self.sided and any(source < self.sided for source in step.inputs)
        ]

    def multiplications(self) -> float:
        """Count the multiplications for all patches, in convolutions and linear layers."""
        patches = sum(prod(group.counts) for group in self.groups)
        total = 0.0
        for number, step in enumerate(self.steps):
            if isinstance(step.operation, graph.Linear):
                total += patches * step.operation.weight.numel()
            if number in self.convolutions:
                for group in self.groups:
                    rows, columns = self.passage(number, group)[0]
                    one = self.convolutions[number].multiplications(rows.size, columns.size)
                    total += prod(group.counts) * one
        return total

    def kernels(self, step: int) -> tuple[Kernel, Kernel]:
        """Return a step's kernels along the height and along the width."""
        return self.sides[0].kernels[step], self.sides[1].kernels[step]

    def passage(self, step: int, group: Group) -> tuple[Spans, Spans]:
        """Return which inputs a step with a kernel reads, and which outputs it computes from them.

        Normally these are the windows of the group. At the step from separate windows to a whole
        layer, compute only the outputs of each window, if the stride allows it, and place them in
        the layer afterwards.
        """
        ways = [
            _way(side, step, spans[0], spans[1])
            for side, spans in zip(
                self.sides,
                zip(group.spans(self.steps[step].inputs[0]), group.spans(step), strict=True),
                strict=True,
            )
        ]
        return (ways[0][0], ways[1][0]), (ways[0][1], ways[1][1])

    def margins(self, step: int, read: Iterable[tuple[Group, Spans]]) -> Margins:
        """Return how far the windows that are read extend beyond the border of a step's output."""
        sides = []
        for side, length in enumerate(self.shapes[step][1:]):
            before = after = 0
            for group, spans in read:
                for index in (0, group.counts[side] - 1):
                    begin, end = spans[side].interval(index)
                    before, after = max(before, -begin), max(after, end - length)
            sides.append((before, after))
        return sides[0], sides[1]


def _way(side: Side, step: int, given: Span, wanted: Span) -> tuple[Span, Span]:
    """Compute one side of `Plan.passage`."""
    source = side.steps[step].inputs[0]
    if side.whole[source] or not side.whole[step]:
        return given, wanted
    kernel = side.kernels[step]
    if given.step % kernel.stride:
        return Span(0, 0, side.lengths[source]), wanted
    first, end = kernel.outputs_of(given.interval(0))
    return given, Span(first, given.step // kernel.stride, end - first)


def make_plan(
    steps: Sequence[Step],
    shapes: Sequence[torch.Size],
    tops: Sequence[int],
    lefts: Sequence[int],
    window: int,
    *,
    products: torch.dtype,
    batch: int = BATCH,
) -> Plan:
    """Plan how patches pass through a network.

    Args:
        steps: as `tracing.trace` lists them.
        shapes: shape of each step's output for one image, without the batch.
        tops, lefts: first row and first column of the patches, px.
        window: side of the patches, px.
        products: type in which convolutions multiply.
        batch: largest number of patches that pass through the network at once.

    Raises:
        Unsupported: windows cannot be followed through this network.
    """
    steps, shapes = _sided_first(steps, shapes)
    sided = sum(len(shape) == 3 for shape in shapes)
    work = _work(steps[:sided], shapes)
    sides = [
        Side(
            steps[:sided],
            [kernel_of(step.operation, side) for step in steps[:sided]],
            [shape[1 + side] for shape in shapes[:sided]],
            work,
            positions,
            window,
        )
        for side, positions in enumerate((tops, lefts))
    ]
    groups = _groups(sides[0].runs(), sides[1].runs(), work, batch)
    convolutions = _convolutions(steps[:sided], groups, products)
    return Plan(steps, shapes, (sides[0], sides[1]), groups, convolutions)


def _sided_first(
    steps: Sequence[Step], shapes: Sequence[torch.Size]
) -> tuple[list[Step], list[torch.Size]]:
    """Move the steps whose outputs have a height and a width before all others."""
    order = sorted(range(len(steps)), key=lambda number: len(shapes[number]) != 3)
    moved = {old: new for new, old in enumerate(order)}
    renumbered = [
        Step(steps[old].operation, tuple(moved[source] for source in steps[old].inputs))
        for old in order
    ]
    return renumbered, [shapes[old] for old in order]


def _work(steps: Sequence[Step], shapes: Sequence[torch.Size]) -> list[float]:
    """Count the multiplications that later steps spend per place (row, column) of each output."""
    work = [float(PASSING * shape[0]) for shape in shapes[: len(steps)]]
    for step in steps:
        if isinstance(step.operation, graph.Convolution):
            outputs_per_input = 1 / prod(step.operation.stride)
            work[step.inputs[0]] += step.operation.weight.numel() * outputs_per_input
    return work


def _groups(
    rows: Sequence[Run], columns: Sequence[Run], work: Sequence[float], batch: int
) -> list[Group]:
    """Combine every run of rows with every run of columns, cut to batches, most work first."""
    wide = max(1, isqrt(2 * batch))
    groups = [
        Group(down, across)
        for run_across in columns
        for across in run_across.pieces(wide)
        for run_down in rows
        for down in run_down.pieces(max(1, batch // len(across.members)))
    ]

    def size(group: Group) -> float:
        per_patch = sum(
            places * span.size * other.size
            for places, span, other in zip(work, group.rows.spans, group.columns.spans, strict=True)
        )
        return per_patch * prod(group.counts)

    return sorted(groups, key=size, reverse=True)


def _convolutions(
    steps: Sequence[Step], groups: Sequence[Group], products: torch.dtype
) -> dict[int, WindowConvolution]:
    """Prepare each convolution for the sizes of the windows that it will get."""
    found = {}
    for number, step in enumerate(steps):
        if isinstance(step.operation, graph.Convolution):
            sizes = [
                (down.size, across.size)
                for group in groups
                for down, across in [group.spans(step.inputs[0])]
                for _ in range(prod(group.counts))
            ]
            found[number] = WindowConvolution(step.operation, sizes, products)
    return found
