"""One-to-one pairing of two sets of points."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def match_points(
    first: NDArray[np.float64], second: NDArray[np.float64], radius: float | NDArray[np.float64]
) -> NDArray[np.int64]:
    """Pair points that lie within a radius of each other, as many as possible.

    Of all pairings with the most pairs, return the one with the smallest sum of distances.

    Args:
        first: (N, 2), x and y.
        second: (M, 2), in the same unit.
        radius: largest distance within a pair; infinity for no limit. One for all pairs, or one for
            each, (N, M).

    Returns:
        (P, 2): indices into `first` and `second`, sorted by the index into `first`.

    Raises:
        ValueError: a coordinate is not finite, or the radius is negative or NaN.

    >>> match_points(np.array([[0.0, 0], [9, 9]]), np.array([[50.0, 50], [1, 0]]), radius=2)
    array([[0, 1]])
    """
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("expected points with finite coordinates, got NaN or infinity")
    if not np.all(np.asarray(radius) >= 0):
        raise ValueError(f"expected a radius of at least 0, got {radius}")
    if len(first) == 0 or len(second) == 0:
        return np.empty((0, 2), np.int64)
    distance = np.linalg.norm(first[:, None] - second[None], axis=2)
    near = distance <= radius
    # A pair beyond the radius costs more than all other pairs together could save.
    too_far = 1 + distance[near].sum() if near.any() else 1.0
    rows, columns = linear_sum_assignment(np.where(near, distance, too_far))
    paired = near[rows, columns]
    return np.stack([rows[paired], columns[paired]], axis=1).astype(np.int64)
