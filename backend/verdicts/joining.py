"""Join each suggested point with the final point that it became.

Points are joined by region id. Points without an id, or all of them if no id is shared, are paired
one to one by distance, equal labels first.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.verdicts.drawn import Point

Pair = tuple[Point | None, Point | None]  # suggested, final


def join(
    suggested: Sequence[Point], final: Sequence[Point], *, made_from_it: bool, radius: float
) -> list[Pair]:
    """Join suggested and final points.

    Args:
        made_from_it: whether the annotator had these suggestions; a point that was drawn by hand is
            then a new one.
        radius: greatest distance, px, between two points that are paired without an id.

    Returns:
        Each suggested point, in order, with its final point or None.
    """
    by_id: dict[str, Point] = {}
    for point in final:
        if point.region_id is not None:
            by_id.setdefault(point.region_id, point)
    partner = {
        index: by_id.pop(point.region_id)
        for index, point in enumerate(suggested)
        if point.region_id in by_id
    }
    joined = set(partner.values())
    loose = [
        point
        for point in final
        if point not in joined
        and (point.region_id is None or (not partner and not (made_from_it and point.by_hand)))
    ]
    free = [index for index in range(len(suggested)) if index not in partner]
    for same_label in (True, False):
        for index, point in _nearest(suggested, free, loose, radius, same_label):
            partner[index] = point
            free.remove(index)
            loose = [each for each in loose if each is not point]
    return [(point, partner.get(index)) for index, point in enumerate(suggested)]


def _nearest(
    suggested: Sequence[Point],
    free: Sequence[int],
    loose: Sequence[Point],
    radius: float,
    same_label: bool,
) -> Iterator[tuple[int, Point]]:
    labels = sorted({suggested[index].label for index in free}) if same_label else [None]
    for label in labels:
        first = [index for index in free if label is None or suggested[index].label == label]
        second = [point for point in loose if label is None or point.label == label]
        for row, column in match([suggested[index] for index in first], second, radius):
            yield first[row], second[column]


def match(first: Sequence[Point], second: Sequence[Point], radius: float) -> NDArray[np.int64]:
    """Return `match_points` of two lists of points: (row in `first`, row in `second`) per pair."""
    # SciPy is slow to import, and the web process imports this module at its start.
    from model.matching import match_points

    return match_points(_positions(first), _positions(second), radius)


def _positions(points: Iterable[Point]) -> NDArray[np.float64]:
    return np.array([(point.x, point.y) for point in points], np.float64).reshape(-1, 2)
