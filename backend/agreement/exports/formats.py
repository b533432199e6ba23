"""Choose the format of an export and name its file.

A new format is one file with a `write` function, and one row in `FORMATS`. Formats yield their
content piece by piece: a million verdicts need no more memory than a thousand.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from backend.agreement.exports import (
    coco,
    csv_export,
    deeplabcut,
    json_export,
    json_lines_export,
    label_studio,
    parquet_export,
    yolo,
)
from backend.agreement.exports.content import ExportContent, ExportOptions
from backend.database.connection import Database
from backend.verdicts.records import Filters


class ExportError(ValueError):
    """No such format, or not for this content or option; the message lists what there is."""


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
        options: names of the fields of `ExportOptions` that change what it writes.
    """

    title: str
    content_type: str
    suffix: str
    kinds: tuple[str, ...]
    write: Callable[[ExportContent], Iterator[bytes]]
    options: tuple[str, ...] = ()


TABLES = ("verdicts", "statistics")
ANNOTATIONS = ("annotations",)
FORMATS: dict[str, Format] = {
    "csv": Format("CSV", "text/csv; charset=utf-8", "csv", TABLES, csv_export.write, ("excel",)),
    "json": Format("JSON", "application/json", "json", TABLES, json_export.write),
    "jsonl": Format(
        "JSON Lines", "application/jsonl; charset=utf-8", "jsonl", TABLES, json_lines_export.write
    ),
    "parquet": Format(
        "Parquet", "application/vnd.apache.parquet", "parquet", TABLES, parquet_export.write
    ),
    "coco": Format(
        "COCO keypoints",
        "application/json",
        "coco.json",
        ANNOTATIONS,
        coco.write,
        ("one_per_image",),
    ),
    "label-studio": Format(
        "Label Studio",
        "application/json",
        "label-studio.json",
        ANNOTATIONS,
        label_studio.write,
        ("one_per_image",),
    ),
    "yolo": Format(
        "YOLO pose", "application/zip", "yolo.zip", ANNOTATIONS, yolo.write, ("one_per_image",)
    ),
    "deeplabcut": Format(
        "DeepLabCut",
        "text/csv; charset=utf-8",
        "deeplabcut.csv",
        ANNOTATIONS,
        deeplabcut.write,
        ("one_per_image",),
    ),
}


def export(
    database: Database,
    format_: str,
    what: str | None,
    filters: Filters,
    statistics: Callable[[], Mapping[str, Any]],
    options: ExportOptions = ExportOptions(),  # noqa: B008
) -> Export:
    """Prepare an export; its content is produced while it is read.

    Args:
        format_: a name in `FORMATS`.
        what: one of the format's `kinds`; None for its first.
        statistics: computes the figures in their JSON form; called only if they are exported, and
            then at once, so that an error is raised before the file begins.

    Raises:
        ExportError: no such format, or the format cannot hold `what` or does not know an option.
    """
    chosen = FORMATS.get(format_)
    if chosen is None:
        raise ExportError(f"expected the format {_listed(FORMATS)}, got {format_!r}")
    kind = chosen.kinds[0] if what is None else what
    if kind not in chosen.kinds:
        raise ExportError(f"expected {_listed(chosen.kinds)} as {format_}, got {what!r}")
    for option in fields(options):
        if getattr(options, option.name) and option.name not in chosen.options:
            raise ExportError(
                f"expected {option.name} with the format {_listed(_knowing(option.name))}, "
                f"got it with {format_}: leave it out"
            )
    figures = statistics() if kind == "statistics" else {}
    content = ExportContent(kind, database, filters, options, figures)
    return Export(f"{kind}.{chosen.suffix}", chosen.content_type, chosen.write(content))


def _knowing(option: str) -> list[str]:
    return [name for name, format_ in FORMATS.items() if option in format_.options]


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
