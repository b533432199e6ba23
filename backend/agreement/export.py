"""The verdict log, the statistics and the final annotations, for other tools.

Everything is streamed: a million verdicts need no more memory than a thousand.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby
from typing import Any
from urllib.parse import urlsplit

from backend.agreement.queries import AgreementQueries
from backend.verdicts.judging import SIGMA
from backend.verdicts.records import Filters

ROW_GROUP = 20_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportError(ValueError):
    """A format or kind of export that there is not; says which there are."""


@dataclass(frozen=True, slots=True)
class Export:
    """One file: its name, its type, and its content piece by piece."""

    name: str
    content_type: str
    pieces: Iterator[bytes]


COLUMNS: dict[str, type] = {
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

FIGURES: dict[str, type] = {
    "dimension": str,
    "name": str,
    "figure": str,
    "value": float,
    "low": float,
    "high": float,
    "n": int,
}

# Rows in the order of the columns, some at a time.
Table = Iterator[Sequence[Sequence[Any]]]


def export(
    log: AgreementQueries,
    format_: str,
    what: str | None,
    filters: Filters,
    statistics: Callable[[], Mapping[str, Any]],
) -> Export:
    """An export.

    Args:
        format_: "csv", "json", "parquet" or "coco".
        what: "verdicts" or "statistics"; always the final annotations for "coco".
        statistics: computes them, where they are wanted.

    Raises:
        ExportError: another format or kind.
    """
    if format_ == "coco" and what in (None, "annotations"):
        return Export("annotations.coco.json", "application/json", coco(log, filters))
    if format_ not in ("csv", "json", "parquet"):
        raise ExportError(f"expected the format csv, json, parquet or coco, got {format_!r}")
    if what not in (None, "verdicts", "statistics"):
        raise ExportError(
            f"expected verdicts or statistics as {format_}, or the final annotations as coco, "
            f"got {what!r}"
        )
    if what == "statistics":
        return _of_statistics(format_, statistics())
    name, columns = "verdicts", COLUMNS
    return _of_table(name, format_, columns, verdict_rows(log, filters))


def _of_statistics(format_: str, statistics: Mapping[str, Any]) -> Export:
    if format_ == "json":
        text = json.dumps(statistics, ensure_ascii=False, indent=1)
        return Export("statistics.json", "application/json", iter([text.encode()]))
    return _of_table("statistics", format_, FIGURES, iter([_in_order(figure_rows(statistics))]))


def _of_table(name: str, format_: str, columns: Mapping[str, type], table: Table) -> Export:
    if format_ == "csv":
        return Export(f"{name}.csv", "text/csv; charset=utf-8", as_csv(columns, table))
    if format_ == "json":
        return Export(f"{name}.json", "application/json", as_json(columns, table))
    kind = "application/vnd.apache.parquet"
    return Export(f"{name}.parquet", kind, as_parquet(columns, table))


# Rows


def verdict_rows(log: AgreementQueries, filters: Filters) -> Table:
    """Every verdict that counts, `COLUMNS` each, some at a time."""
    times = [list(COLUMNS).index(name) for name in ("made_at", "updated_at")]
    for rows in log.verdict_rows(filters):
        found: list[list[Any]] = [list(row) for row in rows]
        for row in found:
            for place in times:
                row[place] = row[place].isoformat()
        yield found


def _in_order(rows: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    return [[row[name] for name in FIGURES] for row in rows]


def figure_rows(statistics: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every figure with an interval, and every count, in one table."""
    groups = [("overall", "", statistics["overall"])]
    for dimension, found in statistics["by"].items():
        groups += [(dimension, each["name"], each) for each in found]
    for dimension, name, figures in groups:
        for figure, value in _flat(figures):
            empty = dict.fromkeys(FIGURES)
            yield empty | {"dimension": dimension, "name": name, "figure": figure} | value
    for each in statistics["landmarks"]:
        name = f"{each['class']} / {each['label']}"
        for figure in ("found", "lift"):
            yield {"dimension": "landmark", "name": name, "figure": figure} | each[figure]


def _flat(figures: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in figures.items():
        path = f"{start}{name}"
        if isinstance(value, Mapping) and "low" in value:
            yield path, {key: value[key] for key in ("value", "low", "high", "n")}
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        elif isinstance(value, list):
            for each in value:
                keys = ("value", "low", "high", "n")
                yield f"{path}@{each['alpha']:g}", {key: each[key] for key in keys}
        elif isinstance(value, int | float):
            yield path, {"value": float(value)}


# Formats of tables


def as_csv(columns: Mapping[str, type], table: Table) -> Iterator[bytes]:
    """RFC 4180 with a header; text that a spreadsheet would take for a formula gets an apostrophe.

    The byte order mark tells spreadsheets that it is UTF-8.
    """
    yield b"\xef\xbb\xbf" + _csv([list(columns)])
    for rows in table:
        yield _csv([[_cell(value) for value in row] for row in rows])


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def as_json(columns: Mapping[str, type], table: Table) -> Iterator[bytes]:
    """One array of objects, an object a line."""
    start = b"["
    for rows in table:
        if rows:
            objects = (dict(zip(columns, row, strict=True)) for row in rows)
            lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in objects)
            yield start + b"\n" + lines.encode()
            start = b","
    yield b"[]\n" if start == b"[" else b"\n]\n"


def as_parquet(columns: Mapping[str, type], table: Table) -> Iterator[bytes]:
    """Apache Parquet, in row groups."""
    import pyarrow
    from pyarrow import parquet

    kinds = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
    }
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
    sink = _Sink()

    def packed(rows: Sequence[Sequence[Any]]) -> Any:
        values = zip(*rows, strict=True) if rows else [() for _ in columns]
        return pyarrow.record_batch(
            [pyarrow.array(each, field.type) for each, field in zip(values, schema, strict=True)],
            schema,
        )

    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        waiting: list[Any] = []
        for rows in table:
            waiting.append(packed(rows))
            if sum(len(each) for each in waiting) >= ROW_GROUP:
                writer.write_table(pyarrow.Table.from_batches(waiting, schema))
                waiting = []
                yield sink.take()
        if waiting:
            writer.write_table(pyarrow.Table.from_batches(waiting, schema))
    yield sink.take()


class _Sink(io.RawIOBase):
    """A file that gives away what was written to it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        """All that was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


# COCO


def coco(log: AgreementQueries, filters: Filters) -> Iterator[bytes]:
    """The final annotations as COCO keypoints.

    An image for each annotation that counts, so that several annotators do not mix; an instance
    for each rectangle in it, and one for the points outside all rectangles. A label that occurs
    several times on one instance gets as many keypoints, "label 1", "label 2". x and y are COCO's:
    (0, 0) is the top left corner of the image, so that the centre of the first pixel is (0.5, 0.5).
    """
    most = log.most_of_each_label(filters)
    slots = {label: _slot_names(label, count) for label, count in most.items()}
    names = list(chain.from_iterable(slots.values()))
    first = {label: names.index(slots[label][0]) for label in slots}
    category = {
        "id": 1,
        "name": "object",
        "supercategory": "",
        "keypoints": names,
        "skeleton": [],
        "keypoint_labels": [label for label, found in slots.items() for _ in found],
        "keypoint_sigmas": [SIGMA] * len(names),
    }
    info = {"description": "Keypoints that annotators left", "version": "1"}
    yield f'{{"info": {json.dumps(info)},\n"licenses": [],\n'.encode()
    yield f'"categories": [{json.dumps(category, ensure_ascii=False)}],\n"images": ['.encode()
    yield from _array(_images(log, filters))
    yield b'],\n"annotations": ['
    yield from _array(_instances(log, filters, len(names), first))
    yield b"]}\n"


def _slot_names(label: str, count: int) -> list[str]:
    return [label] if count == 1 else [f"{label} {number}" for number in range(1, count + 1)]


def _array(objects: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    separator = "\n"
    batch: list[str] = []
    for each in objects:
        batch.append(json.dumps(each, ensure_ascii=False))
        if len(batch) == 1000:
            yield (separator + ",\n".join(batch)).encode()
            separator, batch = ",\n", []
    if batch:
        yield (separator + ",\n".join(batch)).encode()


def _annotations(log: AgreementQueries, filters: Filters) -> Iterator[tuple[Any, list[Any]]]:
    """Each annotation with its points."""
    rows = chain.from_iterable(log.final_points(filters))
    for _, of_state in groupby(rows, key=lambda row: row.id):
        found = list(of_state)
        yield found[0], [row for row in found if row.final_x is not None]


def _images(log: AgreementQueries, filters: Filters) -> Iterator[dict[str, Any]]:
    for state, _ in _annotations(log, filters):
        yield {
            "id": state.id,
            "file_name": _file_name(state.image_url),
            "width": round(state.width),
            "height": round(state.height),
            "project": state.project_uid,
            "task": state.task_id,
            "annotation": state.annotation_id,
            "annotator": state.annotator,
            "date_captured": _iso(state.updated_at),
        }


def _instances(
    log: AgreementQueries, filters: Filters, slots: int, first: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    number = 0
    for state, points in _annotations(log, filters):
        of_object: dict[int | None, list[Any]] = {place: [] for place in range(len(state.objects))}
        for row in points:
            of_object.setdefault(row.object, []).append(row)
        for place, rows in of_object.items():
            number += 1
            yield _instance(number, state, place, rows, slots, first)


def _instance(
    number: int,
    state: Any,
    place: int | None,
    rows: Sequence[Any],
    slots: int,
    first: Mapping[str, int],
) -> dict[str, Any]:
    keypoints = [0.0] * (3 * slots)
    used: dict[str, int] = {}
    for row in rows:
        label = row.final_label or ""
        slot = first[label] + used.get(label, 0)
        used[label] = used.get(label, 0) + 1
        # Label Studio knows no hidden points: what is annotated is visible, v = 2.
        keypoints[3 * slot : 3 * slot + 3] = [row.final_x + 0.5, row.final_y + 0.5, 2]
    box = _box(state, place, rows)
    return {
        "id": number,
        "image_id": state.id,
        "category_id": 1,
        "keypoints": keypoints,
        "num_keypoints": len(rows),
        "bbox": box,
        "area": box[2] * box[3],
        "area_of": "points" if place is None else "rectangle",
        "iscrowd": 0,
        "class": state.class_name,
        "label": None if place is None else state.objects[place]["label"],
    }


def _box(state: Any, place: int | None, rows: Sequence[Any]) -> list[float]:
    """The rectangle, else the smallest one round the points."""
    if place is not None:
        drawn = state.objects[place]
        return [drawn[name] for name in ("left", "top", "width", "height")]
    if not rows:
        return [0.0, 0.0, 0.0, 0.0]
    xs, ys = [row.final_x + 0.5 for row in rows], [row.final_y + 0.5 for row in rows]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def _file_name(url: str) -> str:
    """The image's path without signature; of an image in the address itself only its type."""
    if url.startswith("data:"):
        return url.partition(",")[0]
    parts = urlsplit(url)
    local = "d=" in parts.query and parts.path.endswith("/local-files/")
    return parts.query.partition("d=")[2] if local else parts.path.lstrip("/")


def _iso(moment: datetime) -> str:
    return moment.isoformat()
