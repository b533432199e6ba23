"""Points of single annotations, and how far two sets of points agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.agreement.columns import Floats, Integers


@dataclass(frozen=True)
class Points:
    """Points of one annotation or detection.

    Attributes:
        position: (N, 2), x and y, px.
        length: (N,), longer side of each point's object where it is known, else of the image, px;
            infinite where only the other set of points can tell.
        label: of each point; "" where it has none.
    """

    position: Floats
    length: Floats
    label: Sequence[str]


NO_POINTS = Points(np.empty((0, 2)), np.empty(0), ())


def detected_points(position: NDArray[np.float64]) -> Points:
    """Return detected points (N, 2), which know no object."""
    return Points(position, np.full(len(position), np.inf), [""] * len(position))


def pair(first: Points, second: Points, near: float) -> Integers:
    """Pair two sets of points one to one, as many as possible.

    Args:
        near: largest distance within a pair, as a share of the shorter of the two points' lengths.

    Returns:
        (P, 2): indices into both.
    """
    # Imported here because SciPy would double the time that the web process takes to start.
    from model.matching import match_points

    radius = near * np.minimum(first.length[:, None], second.length[None])
    return match_points(first.position, second.position, radius)


def paired_f1(first: Points, second: Points, near: float) -> float:
    """Compute the F1 of two sets of points, paired one to one.

    Two empty sets agree: 1.

    Args:
        near: as for `pair`.
    """
    if len(first.position) + len(second.position) == 0:
        return 1.0
    return 2 * len(pair(first, second, near)) / (len(first.position) + len(second.position))
