"""Which images to annotate next: an order of those that have no annotation yet.

Numbers only. NumPy and the standard library: whoever sorts needs no torch.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from model.naming.worth import Suggestion

Array = NDArray[np.float32]
Floats = NDArray[np.float64]

# Images that stand for the whole pool when its coverage is computed, so that the time and the
# memory for each image of the order are bounded.
MOST_COVERED = 2000


def expected_corrections(points: Iterable[Suggestion]) -> float:
    """Return the expected number of visible landmarks whose suggestion is not right."""
    return sum(max(0.0, point.visible_probability - point.score) for point in points)


def expected_share_right(points: Iterable[Suggestion]) -> float:
    """Return the expected share of the visible landmarks whose suggestion is right.

    It is 1 if no landmark is expected to be visible: nothing is left to correct.
    """
    known = list(points)
    visible = sum(point.visible_probability for point in known)
    return min(1.0, sum(point.score for point in known) / visible) if visible > 0 else 1.0


def distances(first: Array, second: Array) -> Array:
    """Return the (N, M) Euclidean distances between the rows of (N, K) and of (M, K)."""
    squared = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.asarray(np.sqrt(np.maximum(squared, 0)), np.float32)


def farthest_first(known: Array, pool: Array, most: int) -> list[int]:
    """Order a pool so that each image is as far as possible from all before it and all known.

    Args:
        known: (M, K) descriptors of annotated images, at least one.
        pool: (N, K) descriptors of the others.
        most: how many to return.

    Returns:
        Indices into the pool, at most `most`; of equals the first comes first.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical
    Computer Science 38, 1985.
    """
    nearest = _nearest(known, pool)
    chosen: list[int] = []
    left = np.ones(len(pool), bool)
    while len(chosen) < min(most, len(pool)):
        chosen.append(int(np.where(left, nearest, -1).argmax()))
        left[chosen[-1]] = False
        nearest = np.minimum(nearest, distances(pool, pool[chosen[-1:]])[:, 0])
    return chosen


def covering_first(
    known: Array, pool: Array, most: int, weights: Floats | None = None
) -> list[int]:
    """Order a pool so that each image brings all others as near as possible to an annotated one.

    Each is the one that most lowers the sum, over the pool, of the distances to the nearest image
    that is annotated or comes before it. So images that stand for many others come first, and
    outliers last, where `farthest_first` begins with them. It is the greedy algorithm for a
    submodular gain: at least 63 % of the best that as many images can do.

    Args:
        known: (M, K) descriptors of annotated images, at least one.
        pool: (N, K) descriptors of the others. Beyond `MOST_COVERED`, evenly spaced ones stand for
            all where coverage is summed; all may be chosen.
        most: how many to return.
        weights: (N,), how much it matters to cover each; all 1 if None.

    Returns:
        Indices into the pool, at most `most`; of equals the first comes first.

    Source: Nemhauser, Wolsey and Fisher, "An analysis of approximations for maximizing submodular
    set functions", Mathematical Programming 14, 1978.
    """
    nearest = _nearest(known, pool)  # also checks the shapes
    covered = np.arange(0, len(pool), -(-len(pool) // MOST_COVERED) or 1)
    nearest = nearest[covered]
    between = distances(pool, pool[covered])
    weight = np.ones(len(covered)) if weights is None else weights[covered]
    chosen: list[int] = []
    left = np.ones(len(pool), bool)
    while len(chosen) < min(most, len(pool)):
        gain = np.maximum(0, nearest - between) @ weight
        chosen.append(int(np.where(left, gain, -1).argmax()))
        left[chosen[-1]] = False
        nearest = np.minimum(nearest, between[chosen[-1]])
    return chosen


def _nearest(known: Array, pool: Array) -> Array:
    """Return (N,) the distance of each image of the pool from the nearest known one."""
    if len(known) == 0:
        raise ValueError("expected one or more annotated images to begin with, got none")
    if len(pool) == 0:
        return np.zeros(0, np.float32)
    if known.shape[1] != pool.shape[1]:
        raise ValueError(
            f"expected descriptors of one length, got {known.shape[1]} and {pool.shape[1]}"
        )
    return np.asarray(distances(pool, known).min(axis=1))
