"""Points of chosen annotations, taken from columns: what comparisons pair again."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import numpy as np

from backend.agreement.columns import Floats, Integers, ShortIntegers, VerdictColumns
from backend.agreement.points import NO_POINTS, Points


@dataclass(frozen=True)
class _Side:
    """Points of many annotations, one annotation after the other.

    Attributes:
        points: of all.
        ends: place of the first point of each annotation; at last, the number of points.
    """

    points: Points
    ends: Integers

    @classmethod
    def of(cls, columns: VerdictColumns, x: Floats, y: Floats, label: ShortIntegers) -> Self:
        """Take the rows that have a point."""
        rows = np.flatnonzero(np.isfinite(x))
        names = [*columns.labels, ""]  # -1, no label, is the last
        points = Points(
            np.column_stack([x[rows], y[rows]]),
            columns.longer_sides(rows),
            [names[place] for place in label[rows].tolist()],
        )
        owners = np.arange(len(columns.annotations) + 1)
        return cls(points, np.searchsorted(columns.annotation[rows], owners))

    def of_annotation(self, place: int) -> Points:
        """Return the points of one annotation, without a copy of their positions."""
        part = slice(*self.ends[place : place + 2].tolist())
        every = self.points
        return Points(every.position[part], every.length[part], every.label[part])


class AnnotationPoints:
    """The points of some states of annotations.

    Args:
        columns: of all annotations.
        state_ids: the wanted states; each of the others has no points here.
    """

    def __init__(self, columns: VerdictColumns, state_ids: Collection[int]) -> None:
        wanted = set(state_ids)
        kept = columns.of_annotations(
            np.array([each.id in wanted for each in columns.annotations], bool)
        )
        self._place = {each.id: place for place, each in enumerate(kept.annotations)}
        self._suggested = _Side.of(kept, kept.suggested_x, kept.suggested_y, kept.suggested_label)
        self._final = _Side.of(kept, kept.final_x, kept.final_y, kept.final_label)

    def suggested(self, state_id: int) -> Points:
        """Return the points that were suggested."""
        return self._of(self._suggested, state_id)

    def final(self, state_id: int) -> Points:
        """Return the points that the annotator left."""
        return self._of(self._final, state_id)

    def _of(self, side: _Side, state_id: int) -> Points:
        place = self._place.get(state_id)
        return NO_POINTS if place is None else side.of_annotation(place)
