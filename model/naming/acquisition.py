"""Which images to annotate next: numbers that order those without annotation.

NumPy and the standard library only: whoever orders tasks needs no torch.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from model.naming.worth import STANDARD, Costs, Suggestion, hidden_seconds, shown_seconds

Array = NDArray[np.float32]
Floats = NDArray[np.float64]


def expected_seconds(points: Iterable[Suggestion], costs: Costs = STANDARD) -> float:
    """Return the expected time to finish an image, s: each label is shown only where that pays."""
    return sum(
        min(
            shown_seconds(point.visible_probability, point.score, costs),
            hidden_seconds(point.visible_probability, costs),
        )
        for point in points
    )


def expected_misplaced(points: Iterable[Suggestion]) -> float:
    """Return the expected number of visible landmarks whose suggestion is not within tolerance."""
    return sum(max(0.0, point.visible_probability - point.score) for point in points)


def distances(first: Array, second: Array) -> Array:
    """Return the (N, M) distances between the rows of (N, K) and (M, K)."""
    squared = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.sqrt(np.maximum(squared, 0))


def farthest_first(
    known: Array, pool: Array, most: int, weights: Floats | None = None
) -> list[int]:
    nearest = distances(pool, known).min(axis=1)
    weight = np.ones(len(pool)) if weights is None else weights
    chosen: list[int] = []
    left = np.ones(len(pool), bool)
    while len(chosen) < min(most, len(pool)):
        best = int(np.where(left, nearest * weight, -1).argmax())
        chosen.append(best)
        left[best] = False
        nearest = np.minimum(nearest, distances(pool, pool[best : best + 1])[:, 0])
    return chosen


def covering_first(
    known: Array, pool: Array, most: int, weights: Floats | None = None
) -> list[int]:
    nearest = distances(pool, known).min(axis=1)
    between = distances(pool, pool)
    weight = np.ones(len(pool)) if weights is None else weights
    chosen: list[int] = []
    left = np.ones(len(pool), bool)
    while len(chosen) < min(most, len(pool)):
        gain = (np.maximum(0, nearest - between) * weight).sum(axis=1)
        best = int(np.where(left, gain, -1).argmax())
        chosen.append(best)
        left[best] = False
        nearest = np.minimum(nearest, between[best])
    return chosen
