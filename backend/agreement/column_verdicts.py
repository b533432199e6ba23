"""Verdicts about points as objects, made from columns when they are asked for."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from backend.agreement.columns import VerdictColumns
from backend.verdicts.judging import VERDICTS, Verdict


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
        return [self._verdict(row) for row in self._rows[state_id]]

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def _verdict(self, row: int) -> Verdict:
        columns = self._columns
        number, object_ = int(columns.number[row]), int(columns.object[row])
        suggested, final = bool(columns.suggested[row]), bool(columns.final[row])
        return Verdict(
            kind="point",
            verdict=VERDICTS[columns.verdict[row]],
            number=None if number < 0 else number,
            suggested_label=self._label(int(columns.suggested_label[row])),
            final_label=self._label(int(columns.final_label[row])),
            score=_known(columns.score[row]),
            suggested_x=_known(columns.suggested_x[row]),
            suggested_y=_known(columns.suggested_y[row]),
            final_x=_known(columns.final_x[row]),
            final_y=_known(columns.final_y[row]),
            displacement=_known(columns.displacement[row]),
            length=_known(columns.length[row]),
            area=_known(columns.area[row]),
            object=None if object_ < 0 else object_,
            suggested_hit=bool(columns.suggested_hit[row]) if suggested else None,
            final_hit=bool(columns.final_hit[row]) if final else None,
        )

    def _label(self, place: int) -> str | None:
        return None if place < 0 else self._columns.labels[place]


def _known(value: np.float64) -> float | None:
    return None if math.isnan(value) else float(value)
