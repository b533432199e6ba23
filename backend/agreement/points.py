"""Points of single annotations, and how far two sets of points agree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.agreement.columns import Floats, Integers
from backend.verdicts.judging import Verdict


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


def final_points(verdicts: Sequence[Verdict], image_length: float) -> Points:
    """Return the points that the annotator left.

    Args:
        image_length: longer side of the image, px.
    """
    return _points(
        ((each.final_x, each.final_y, each.length, each.final_label) for each in verdicts),
        image_length,
    )


def suggested_points(verdicts: Sequence[Verdict], image_length: float) -> Points:
    """Return the points that were suggested.

    Args:
        image_length: longer side of the image, px.
    """
    return _points(
        (
            (each.suggested_x, each.suggested_y, each.length, each.suggested_label)
            for each in verdicts
        ),
        image_length,
    )


def detected_points(position: NDArray[np.float64]) -> Points:
    """Return detected points (N, 2), which know no object."""
    return Points(position, np.full(len(position), np.inf), [""] * len(position))


def _points(
    found: Iterable[tuple[float | None, float | None, float | None, str | None]],
    image_length: float,
) -> Points:
    kept = [each for each in found if each[0] is not None]
    return Points(
        np.array([each[:2] for each in kept], np.float64).reshape(-1, 2),
        np.array([image_length if each[2] is None else each[2] for each in kept], np.float64),
        [each[3] or "" for each in kept],
    )


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
