"""How well each example is found by what the others teach: the ground of calibrated scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.naming.confidence import Logistic, fit_logistic
from model.naming.evidence import FIGURES, find
from model.naming.examples import Example
from model.naming.expectation import VISIBLE, WITHIN
from model.naming.grid import is_known
from model.naming.knowledge import Knowledge, Taught, knowledge
from model.naming.moments import Moments, moments
from model.naming.object_box import object_box

# Newest examples that are left out in turn: fewer where there are many, to bound the time.
REHEARSED, REHEARSED_OF_MANY = 20, 8
MANY = 50


def rehearsals(examples: int) -> int:
    """Return how many of so many examples are left out in turn."""
    return min(examples, REHEARSED if examples < MANY else REHEARSED_OF_MANY)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """One row for each decided label of each rehearsed example.

    Attributes:
        figures: (N, F), see `evidence.Found`.
        visible: (N,), whether the label has a point.
        within: (N,), whether the suggested place is within the tolerance of it.
    """

    figures: NDArray[np.float64]
    visible: NDArray[np.bool_]
    within: NDArray[np.bool_]


def without(
    labels: Sequence[str],
    sums: Moments,
    parts: Sequence[Sequence[Taught]],
    examples: Sequence[Example],
    number: int,
) -> Knowledge:
    """Return what all examples but one teach: its own part is subtracted from the sums."""
    others = [part for other, pair in enumerate(parts) if other != number for part in pair]
    return knowledge(labels, sums - moments(examples[number]), others)


def outcomes(
    examples: Sequence[Example],
    labels: Sequence[str],
    sums: Moments,
    parts: Sequence[Sequence[Taught]],
    tolerance: float,
    most: int,
) -> Outcomes:
    """Find each of the newest examples by what all others teach.

    Args:
        parts: what the views of each example teach, that of the image as it is first.
        tolerance: share of the longer side of the box; see `_length`.
        most: examples that are left out in turn.
    """
    found = [_nothing()]
    if len(examples) > 1:
        for number in range(max(0, len(examples) - most), len(examples)):
            known = without(labels, sums, parts, examples, number)
            found.append(outcome(known, examples[number], parts[number][0], tolerance))
    return Outcomes(
        np.concatenate([each.figures for each in found]),
        np.concatenate([each.visible for each in found]),
        np.concatenate([each.within for each in found]),
    )


def _nothing() -> Outcomes:
    return Outcomes(np.zeros((0, len(FIGURES))), np.zeros(0, bool), np.zeros(0, bool))


def outcome(known: Knowledge, example: Example, own: Taught, tolerance: float) -> Outcomes:
    """Find an example by what others teach.

    Args:
        own: what the view of the image as it is teaches.
        tolerance: share of the longer side of the box; see `_length`.
    """
    found = find(known, example.features)
    usable = own.decided & is_known(found.places)
    frame = example.features.frame
    distance = np.linalg.norm(found.places - own.layout, axis=1) * frame.side / _length(example)
    return Outcomes(
        found.figures[usable],
        np.isfinite(own.layout[usable, 0]),
        np.nan_to_num(distance[usable], nan=np.inf) <= tolerance,
    )


def _length(example: Example) -> float:
    """Return the unit of the tolerance, px: the longer side of the box.

    The box around the points stands for one that was not given; if they have no extent, the part
    of the image that was described does.
    """
    box = example.box or object_box(list(example.points.values()))
    return max(box.width, box.height) if box else example.features.frame.length


def score_models(measured: Outcomes) -> tuple[Logistic, Logistic]:
    """Return the models of "is visible", and of "is within the tolerance, if visible"."""
    seen = measured.visible
    return (
        fit_logistic(measured.figures, seen, VISIBLE),
        fit_logistic(measured.figures[seen], measured.within[seen], WITHIN),
    )
