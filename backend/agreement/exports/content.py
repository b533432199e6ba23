"""What an export holds: verdicts and statistics as tables, annotations as a stream."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backend.agreement.exports.annotations import AnnotationStream
from backend.agreement.exports.queries import ExportQueries
from backend.agreement.exports.statistics_table import STATISTICS_COLUMNS, statistics_rows
from backend.agreement.queries import AgreementQueries
from backend.database.connection import Database
from backend.verdicts.records import Filters

VERDICT_COLUMNS: dict[str, type] = {
    "project_uid": str,
    "task_id": int,
    "annotation_id": int,
    "made_at": datetime,
    "updated_at": datetime,
    "source": str,
    "annotator": int,
    "lead_time": float,
    "prediction_id": int,
    "model_version": str,
    "prediction_score": float,
    "class_name": str,
    "shown": bool,
    "group": str,
    "width": float,
    "height": float,
    "kind": str,
    "verdict": str,
    "number": int,
    "region_id": str,
    "suggested_label": str,
    "final_label": str,
    "score": float,
    "suggested_x": float,
    "suggested_y": float,
    "final_x": float,
    "final_y": float,
    "displacement": float,
    "length": float,
    "area": float,
    "object": int,
    "suggested_hit": bool,
    "final_hit": bool,
    "image_number": int,
    "suggested_visibility": str,
    "final_visibility": str,
}


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Choices that change what some formats write.

    Attributes:
        one_per_image: of each task only the annotation that was changed last.
        excel: whether text that a spreadsheet would take for a formula is escaped.
    """

    one_per_image: bool = False
    excel: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is read batch by batch, so that it never lies in memory as a whole.

    Attributes:
        columns: name → type of each column.
        batches: lists of rows; each row has its values in the order of `columns`, None for empty.
    """

    columns: Mapping[str, type]
    batches: Iterator[Sequence[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class ExportContent:
    """The content that a format writes.

    Attributes:
        kind: "verdicts", "statistics" or "annotations".
        statistics: the report's figures in their JSON form; empty unless `kind` is "statistics".
    """

    kind: str
    database: Database
    filters: Filters
    options: ExportOptions
    statistics: Mapping[str, Any]

    def table(self) -> Table:
        """Return the verdicts, or all statistics, as one table; times are in UTC."""
        if self.kind == "statistics":
            return Table(STATISTICS_COLUMNS, iter([list(statistics_rows(self.statistics))]))
        return Table(VERDICT_COLUMNS, AgreementQueries(self.database).verdict_rows(self.filters))

    def annotations(self, *, one_per_image: bool = False) -> AnnotationStream:
        """Return the submitted annotations.

        Args:
            one_per_image: for formats that hold no more than one annotation of an image, whatever
                the options say.
        """
        return AnnotationStream(
            ExportQueries(self.database),
            self.filters,
            one_per_image=one_per_image or self.options.one_per_image,
        )


def iso_time(moment: datetime) -> str:
    """Return a time as every text format writes it: ISO 8601 in UTC, always with microseconds.

    >>> iso_time(datetime(2026, 1, 2, tzinfo=UTC))
    '2026-01-02T00:00:00.000000+00:00'
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def json_object(table: Table, row: Sequence[Any]) -> str:
    """Return a row of a table as a JSON object on one line."""
    cells = (iso_time(each) if isinstance(each, datetime) else each for each in row)
    return json.dumps(dict(zip(table.columns, cells, strict=True)), ensure_ascii=False)
