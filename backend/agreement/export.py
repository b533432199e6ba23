"""Choose the format of an export and name its file.

A new format is one file with a `write` function, and one row in `FORMATS`. Formats yield their
content piece by piece: a million verdicts need no more memory than a thousand.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backend.agreement import coco, csv_export, json_export, parquet_export
from backend.agreement.export_content import ExportContent
from backend.agreement.queries import AgreementQueries
from backend.verdicts.records import Filters


class ExportError(ValueError):
    """No such format, or not for this content; the message lists what there is."""


@dataclass(frozen=True, slots=True)
class Export:
    """One file: its name, its content type, and its content piece by piece."""

    name: str
    content_type: str
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """A file format.

    Attributes:
        title: its name for people.
        suffix: of the file's name, without the dot before it.
        kinds: what can be written in it: "verdicts", "statistics", "annotations"; the default
            first.
        write: yields the file's bytes.
    """

    title: str
    content_type: str
    suffix: str
    kinds: tuple[str, ...]
    write: Callable[[ExportContent], Iterator[bytes]]


TABLES = ("verdicts", "statistics")
FORMATS: dict[str, Format] = {
    "csv": Format("CSV", "text/csv; charset=utf-8", "csv", TABLES, csv_export.write),
    "json": Format("JSON", "application/json", "json", TABLES, json_export.write),
    "parquet": Format(
        "Parquet", "application/vnd.apache.parquet", "parquet", TABLES, parquet_export.write
    ),
    "coco": Format("COCO keypoints", "application/json", "coco.json", ("annotations",), coco.write),
}


def export(
    queries: AgreementQueries,
    format_: str,
    what: str | None,
    filters: Filters,
    statistics: Callable[[], Mapping[str, Any]],
) -> Export:
    """Prepare an export; its content is produced while it is read.

    Args:
        format_: a name in `FORMATS`.
        what: one of the format's `kinds`; None for its first.
        statistics: computes the figures in their JSON form; called only if they are exported, and
            then at once, so that an error is raised before the file begins.

    Raises:
        ExportError: no such format, or the format cannot hold `what`.
    """
    chosen = FORMATS.get(format_)
    if chosen is None:
        raise ExportError(f"expected the format {_listed(FORMATS)}, got {format_!r}")
    kind = chosen.kinds[0] if what is None else what
    if kind not in chosen.kinds:
        raise ExportError(f"expected {_listed(chosen.kinds)} as {format_}, got {what!r}")
    figures = statistics() if kind == "statistics" else {}
    content = ExportContent(kind, queries, filters, figures)
    return Export(f"{kind}.{chosen.suffix}", chosen.content_type, chosen.write(content))


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
