"""Merge operations of a network where that saves work and leaves its output unchanged."""

from collections.abc import Sequence
from dataclasses import replace

from model.maps.incremental.graph import (
    Convolution,
    MaxPool,
    ReLU,
    Scale,
    Step,
    needed,
    users,
)


def simplify(steps: Sequence[Step]) -> list[Step]:
    """Fold batch norm into convolutions, and ReLUs into max pooling."""
    return _rectify_in_pools(_fold_scales(steps))


def _fold_scales(steps: Sequence[Step]) -> list[Step]:
    """Fold batch norm into the convolution before it, if nothing else takes that output."""
    taken = users(steps)
    folded = list(steps)
    moved = list(range(len(steps)))
    for number, step in enumerate(steps):
        if not isinstance(step.operation, Scale):
            continue
        before = moved[step.inputs[0]]
        convolution = folded[before].operation
        if isinstance(convolution, Convolution) and len(taken[step.inputs[0]]) == 1:
            folded[before] = replace(folded[before], operation=_scaled(convolution, step.operation))
            moved[number] = before
    rerouted = [
        Step(step.operation, tuple(moved[source] for source in step.inputs)) for step in folded
    ]
    return needed(rerouted, moved[-1])


def _scaled(convolution: Convolution, scale: Scale) -> Convolution:
    weight = convolution.weight.double() * scale.factor.view(-1, 1, 1, 1)
    bias = scale.shift.clone()
    if convolution.bias is not None:
        bias += convolution.bias.double() * scale.factor
    dtype = convolution.weight.dtype
    return replace(convolution, weight=weight.to(dtype), bias=bias.to(dtype))


def _rectify_in_pools(steps: Sequence[Step]) -> list[Step]:
    """Move a ReLU behind the max pooling that alone follows it, where it has fewer values."""
    taken = users(steps)
    fused = list(steps)
    for number, step in enumerate(steps):
        source = step.inputs[0] if step.inputs else 0
        if (
            isinstance(step.operation, MaxPool)
            and isinstance(steps[source].operation, ReLU)
            and len(taken[source]) == 1
        ):
            fused[number] = Step(replace(step.operation, rectify=True), steps[source].inputs)
    return needed(fused, len(fused) - 1)
