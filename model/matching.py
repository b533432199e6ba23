"""One-to-one pairing of two sets of points."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def match_points(
    first: NDArray[np.float64], second: NDArray[np.float64], radius: float
) -> NDArray[np.int64]:
    """Pair points that lie within a radius of each other, as many as possible.

    Among the pairings with the most pairs, the one with the smallest sum of distances is taken.

    Args:
        first: (N, 2), x and y.
        second: (M, 2), in the same unit.
        radius: two points of a pair are at most this far apart; infinity pairs whatever it can.

    Returns:
        (P, 2): indices into `first` and `second`, by rising index into `first`.

    Raises:
        ValueError: a coordinate is not finite, or the radius is negative or NaN.
    """
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("expected points with finite coordinates, got NaN or infinity")
    if not radius >= 0:
        raise ValueError(f"expected a radius of at least 0, got {radius}")
    if len(first) == 0 or len(second) == 0:
        return np.empty((0, 2), np.int64)
    distance = np.linalg.norm(first[:, None] - second[None], axis=2)
    near = distance <= radius
    # One pair too far apart costs more than all others together can save.
    too_far = 1 + distance[near].sum() if near.any() else 1.0
    rows, columns = linear_sum_assignment(np.where(near, distance, too_far))
    paired = near[rows, columns]
    return np.stack([rows[paired], columns[paired]], axis=1).astype(np.int64)
