import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest
from exporting import exported, loaded
from many_verdicts import fill
from verdict_data import added, annotation, detection, event, moved, predict, relabelled

from backend.agreement.exports.content import (
    VERDICT_COLUMNS,
    ExportContent,
    ExportOptions,
    iso_time,
)
from backend.agreement.exports.formats import FORMATS, ExportError, Format, export
from backend.database.connection import Database
from backend.verdicts.records import Filters


@pytest.fixture
def some(any_database: Database) -> Database:
    """Three annotated tasks; each kind of database streams in its own way."""
    for task in range(1, 4):
        regions = predict(any_database, task, detection((10, 10), (30, 30)))
        result = [moved(regions[0], 0.123456), relabelled(regions[1], "nose"), added(5, 5)]
        event(any_database, annotation(task, [*result, regions[2]]))
    return any_database


def test_the_log_is_the_same_in_every_format(some):
    as_json = json.loads(exported(some, "json"))
    assert len(as_json) == 12
    assert list(as_json[0]) == list(VERDICT_COLUMNS)
    lines = exported(some, "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == as_json
    parquet = pyarrow.parquet.read_table(io.BytesIO(exported(some, "parquet"))).to_pylist()
    for row in parquet:
        row |= {name: iso_time(row[name]) for name in ("made_at", "updated_at")}
    assert parquet == as_json
    rows = list(csv.DictReader(io.StringIO(exported(some, "csv").decode("utf-8-sig"))))
    assert [row["verdict"] for row in rows] == [row["verdict"] for row in as_json]
    assert [row["final_x"] for row in rows] == [
        "" if row["final_x"] is None else str(row["final_x"]) for row in as_json
    ]


def test_an_empty_log_is_a_valid_file_in_every_format(any_database, tmp_path):
    assert json.loads(exported(any_database, "json")) == []
    assert pyarrow.parquet.read_table(io.BytesIO(exported(any_database, "parquet"))).num_rows == 0
    assert len(exported(any_database, "csv").splitlines()) == 1
    assert exported(any_database, "jsonl") == b""
    assert loaded(exported(any_database, "coco"), tmp_path).getAnnIds() == []


def test_statistics_are_a_table_as_well(some):
    rows = list(
        csv.DictReader(io.StringIO(exported(some, "csv", "statistics").decode("utf-8-sig")))
    )
    found = {(row["dimension"], row["name"], row["figure"]): row["value"] for row in rows}
    assert float(found["overall", "", "points.suggested"]) == 6
    assert float(found["label", "car", "precision"]) == 0.5  # the other became a nose
    assert ("overall", "", "pck.image@0.05") in found
    assert json.loads(exported(some, "json", "statistics"))["overall"]["points"]["suggested"] == 6
    assert pyarrow.parquet.read_table(io.BytesIO(exported(some, "parquet", "statistics"))).num_rows


@pytest.mark.parametrize(
    ("format_", "what", "expected"),
    [
        ("xml", None, "expected the format csv, json, jsonl, parquet, coco, label-studio, yolo or"),
        ("csv", "people", "expected verdicts or statistics as csv, got 'people'"),
        ("coco", "log", "expected annotations as coco, got 'log'"),
    ],
)
def test_an_unknown_format_is_refused(any_database, format_, what, expected):
    with pytest.raises(ExportError, match=expected):
        export(any_database, format_, what, Filters(), dict)


@pytest.mark.parametrize(
    ("format_", "options", "expected"),
    [
        ("coco", ExportOptions(excel=True), "expected excel with the format csv, got it with coco"),
        ("csv", ExportOptions(one_per_image=True), "expected one_per_image with the format coco"),
    ],
)
def test_an_option_that_a_format_does_not_know_is_refused(any_database, format_, options, expected):
    with pytest.raises(ExportError, match=expected):
        export(any_database, format_, None, Filters(), dict, options)


def test_a_new_format_is_one_function_and_one_row(some, monkeypatch):
    def write_labels(content: ExportContent) -> Iterator[bytes]:
        table = content.table()
        place = list(table.columns).index("final_label")
        for rows in table.batches:
            yield "".join(f"{row[place]}\n" for row in rows).encode()

    labels = Format("Labels", "text/plain", "txt", ("verdicts",), write_labels)
    monkeypatch.setitem(FORMATS, "labels", labels)
    made = export(some, "labels", None, Filters(), dict)
    assert (made.name, made.content_type) == ("verdicts.txt", "text/plain")
    assert exported(some, "labels").decode().split().count("nose") == 3
    with pytest.raises(ExportError, match="coco, label-studio, yolo, deeplabcut or labels"):
        export(some, "xml", None, Filters(), dict)


def test_statistics_are_computed_only_where_they_are_exported(some):
    def statistics():
        raise RuntimeError("computed")

    for format_ in FORMATS:
        export(some, format_, None, Filters(), statistics)
    with pytest.raises(RuntimeError, match="computed"):
        export(some, "csv", "statistics", Filters(), statistics)


EXPORT = """
import resource, sys
from backend.agreement.exports.formats import export
from backend.database.connection import Database
from backend.verdicts.records import Filters
database = Database(sys.argv[1])
made = export(database, sys.argv[2], None, Filters(), dict)
size = sum(len(piece) for piece in made.pieces)
print(size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """Number of verdicts → the address of a database with so many."""
    found = {}
    for count in (20_000, 60_000):
        path = tmp_path_factory.mktemp("log") / "log.sqlite3"
        found[count] = f"sqlite:///{path}"
        database = Database(found[count])
        database.migrate()
        fill(database, count)
        database.close()
    return found


@pytest.mark.parametrize(
    ("format_", "bytes_a_verdict"),
    [("csv", 50), ("coco", 50), ("label-studio", 50), ("yolo", 10), ("deeplabcut", 30)],
)
def test_a_larger_log_needs_no_more_memory_to_export(logs, format_, bytes_a_verdict):
    peak = {}
    for count, database in logs.items():
        told = subprocess.run(
            [sys.executable, "-c", EXPORT, database, format_],
            capture_output=True,
            check=True,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        size, peak[count] = map(int, told.stdout.split())
        assert size > bytes_a_verdict * count
    # KiB: three times the log weighs tens of megabytes more when it is held in memory.
    assert peak[60_000] - peak[20_000] < 8_000
