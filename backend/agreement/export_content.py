"""What an export holds: the verdicts and the statistics as tables, and how to query the rest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.agreement.queries import AgreementQueries
from backend.verdicts.records import Filters

VERDICT_COLUMNS: dict[str, type] = {
    "project_uid": str,
    "task_id": int,
    "annotation_id": int,
    "made_at": str,
    "updated_at": str,
    "source": str,
    "annotator": int,
    "lead_time": float,
    "prediction_id": int,
    "model_version": str,
    "prediction_score": float,
    "class_name": str,
    "shown": bool,
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
}
STATISTICS_COLUMNS: dict[str, type] = {
    "dimension": str,
    "name": str,
    "figure": str,
    "value": float,
    "low": float,
    "high": float,
    "n": int,
}
_TIMES = [list(VERDICT_COLUMNS).index(name) for name in ("made_at", "updated_at")]


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
    queries: AgreementQueries
    filters: Filters
    statistics: Mapping[str, Any]

    def table(self) -> Table:
        """Return the verdicts, or all statistics, as one table."""
        if self.kind == "statistics":
            return Table(STATISTICS_COLUMNS, iter([list(_statistics_rows(self.statistics))]))
        return Table(VERDICT_COLUMNS, _verdict_batches(self.queries, self.filters))


def _verdict_batches(queries: AgreementQueries, filters: Filters) -> Iterator[list[list[Any]]]:
    """Yield every verdict that counts, in the order of `VERDICT_COLUMNS`."""
    for rows in queries.verdict_rows(filters):
        batch: list[list[Any]] = [list(row) for row in rows]
        for row in batch:
            for place in _TIMES:
                row[place] = row[place].isoformat()
        yield batch


def _statistics_rows(statistics: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Yield every estimate and every count, in the order of `STATISTICS_COLUMNS`."""
    groups = [("overall", "", statistics["overall"])]
    for dimension, found in statistics["by"].items():
        groups += [(dimension, each["name"], each) for each in found]
    for dimension, name, figures in groups:
        for path, values in _flat(figures):
            yield [dimension, name, path, *values]
    for each in statistics["landmarks"]:
        name = f"{each['class']} / {each['label']}"
        for path in ("found", "lift"):
            yield ["landmark", name, path, *_values(each[path])]


def _flat(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Yield (path, [value, low, high, n]) of nested figures; a plain number has only its value."""
    for name, value in figures.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and "low" in value:
            yield path, _values(value)
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        elif isinstance(value, list):
            for each in value:
                yield f"{path}@{each['alpha']:g}", _values(each)
        elif isinstance(value, int | float):
            yield path, [float(value), None, None, None]


def _values(estimate: Mapping[str, Any]) -> list[Any]:
    return [estimate[key] for key in ("value", "low", "high", "n")]
