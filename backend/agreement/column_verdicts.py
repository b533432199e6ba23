"""Verdicts about points as objects, made from columns when they are asked for."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from backend.agreement.columns import VerdictColumns
from backend.verdicts.judging import VERDICTS, Verdict

# The columns that a verdict is made of, in the order of the arguments of `_verdict`.
NUMBERS = (
    "score",
    "suggested_x",
    "suggested_y",
    "final_x",
    "final_y",
    "displacement",
    "length",
    "area",
)
COLUMNS = (
    "verdict",
    "number",
    "suggested_label",
    "final_label",
    "object",
    "suggested",
    "final",
    "suggested_hit",
    "final_hit",
    *NUMBERS,
)


class ColumnVerdicts(Mapping[int, Sequence[Verdict]]):
    """The verdicts about points of some states, by the id of the state.

    Columns take a tenth of the memory, and only what is compared becomes objects. These have no
    `region_id`, which columns do not keep. A state without points has no entry.
    """

    def __init__(self, columns: VerdictColumns, state_ids: Collection[int]) -> None:
        wanted = set(state_ids)
        chosen = np.array([each.id in wanted for each in columns.annotations], bool)
        self._columns = columns.of_annotations(chosen)
        annotations = self._columns.annotations
        ends = np.searchsorted(self._columns.annotation, np.arange(len(annotations) + 1)).tolist()
        self._rows = {
            each.id: range(first, last)
            for each, first, last in zip(annotations, ends[:-1], ends[1:], strict=True)
            if last > first
        }

    def __getitem__(self, state_id: int) -> list[Verdict]:
        rows = self._rows[state_id]
        part = slice(rows.start, rows.stop)
        columns = [getattr(self._columns, name)[part].tolist() for name in COLUMNS]
        return [self._verdict(*row) for row in zip(*columns, strict=True)]

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def _verdict(
        self,
        verdict: int,
        number: int,
        suggested_label: int,
        final_label: int,
        object_: int,
        suggested: bool,
        final: bool,
        suggested_hit: bool,
        final_hit: bool,
        *numbers: float,
    ) -> Verdict:
        score, *places, displacement, length, area = (
            None if math.isnan(each) else each for each in numbers
        )
        suggested_x, suggested_y, final_x, final_y = places
        return Verdict(
            kind="point",
            verdict=VERDICTS[verdict],
            number=None if number < 0 else number,
            suggested_label=self._label(suggested_label),
            final_label=self._label(final_label),
            object=None if object_ < 0 else object_,
            suggested_hit=suggested_hit if suggested else None,
            final_hit=final_hit if final else None,
            score=score,
            suggested_x=suggested_x,
            suggested_y=suggested_y,
            final_x=final_x,
            final_y=final_y,
            displacement=displacement,
            length=length,
            area=area,
        )

    def _label(self, place: int) -> str | None:
        return None if place < 0 else self._columns.labels[place]
