"""Points of single annotations, and how far two sets of points agree."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.verdicts.judging import Verdict

Points = NDArray[np.float64]  # (N, 2), x and y, px


def final_points(verdicts: Sequence[Verdict]) -> Points:
    """Return the points that the annotator left."""
    return _positions((each.final_x, each.final_y) for each in verdicts)


def suggested_points(verdicts: Sequence[Verdict]) -> Points:
    """Return the points that were suggested."""
    return _positions((each.suggested_x, each.suggested_y) for each in verdicts)


def _positions(pairs: Iterable[tuple[float | None, float | None]]) -> Points:
    return np.array([pair for pair in pairs if pair[0] is not None], np.float64).reshape(-1, 2)


def paired_f1(first: Points, second: Points, radius: float) -> float:
    """Compute the F1 of two sets of points, paired one to one within a radius.

    Two empty sets agree: 1.

    >>> paired_f1(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [90.0, 0.0]]), radius=5.0)
    0.6666666666666666
    """
    # Imported here because SciPy would double the time that the web process takes to start.
    from model.matching import match_points

    if len(first) + len(second) == 0:
        return 1.0
    return 2 * len(match_points(first, second, radius)) / (len(first) + len(second))
