import csv
import io
import json
import random
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
from many_verdicts import fill
from pycocotools.coco import COCO
from verdict_data import added, annotation, detection, event, moved, predict, relabelled

from backend.agreement.export import COLUMNS, ExportError, export
from backend.agreement.figures import measure_agreement
from backend.agreement.queries import AgreementQueries
from backend.database.connection import Database
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters


@pytest.fixture
def database(any_database: Database) -> Database:
    """Both databases stream in a way of their own."""
    return any_database


@pytest.fixture
def recorder(database: Database) -> Recorder:
    return Recorder(Settings(), database)


def exported(recorder: Recorder, format_: str, what: str | None = None) -> bytes:
    recorder.drain()
    made = export(
        AgreementQueries(recorder.database),
        format_,
        what,
        Filters(),
        lambda: measure_agreement(recorder.database, Filters()).as_json(),
    )
    return b"".join(made.pieces)


@pytest.fixture
def some(database: Database, recorder: Recorder) -> Recorder:
    for task in range(1, 4):
        regions = predict(database, task, detection((10, 10), (30, 30)))
        result = [moved(regions[0], 0.123456), relabelled(regions[1], "nose"), added(5, 5)]
        event(database, annotation(task, [*result, regions[2]]))
    return recorder


def test_the_log_is_the_same_in_every_format(some):
    as_json = json.loads(exported(some, "json"))
    assert len(as_json) == 12
    assert list(as_json[0]) == list(COLUMNS)
    parquet = pyarrow.parquet.read_table(io.BytesIO(exported(some, "parquet"))).to_pylist()
    assert parquet == as_json
    rows = list(csv.DictReader(io.StringIO(exported(some, "csv").decode("utf-8-sig"))))
    assert [row["verdict"] for row in rows] == [row["verdict"] for row in as_json]
    assert [row["final_x"] for row in rows] == [
        "" if row["final_x"] is None else str(row["final_x"]) for row in as_json
    ]


def test_an_empty_log_is_a_valid_file_in_every_format(recorder, tmp_path):
    assert json.loads(exported(recorder, "json")) == []
    assert pyarrow.parquet.read_table(io.BytesIO(exported(recorder, "parquet"))).num_rows == 0
    assert len(exported(recorder, "csv").splitlines()) == 1
    assert loaded(exported(recorder, "coco"), tmp_path).getAnnIds() == []


def test_a_label_is_no_formula_for_a_spreadsheet(database, recorder):
    regions = predict(database, 1, detection((10, 10)))
    event(database, annotation(1, [relabelled(regions[0], "=1+1")]))
    rows = list(csv.DictReader(io.StringIO(exported(recorder, "csv").decode("utf-8-sig"))))
    assert "'=1+1" in [row["final_label"] for row in rows]


def test_statistics_are_a_table_as_well(some):
    rows = list(
        csv.DictReader(io.StringIO(exported(some, "csv", "statistics").decode("utf-8-sig")))
    )
    found = {(row["dimension"], row["name"], row["figure"]): row["value"] for row in rows}
    assert float(found["overall", "", "points.suggested"]) == 6
    assert float(found["label", "car", "precision"]) == 1
    assert ("overall", "", "pck.image@0.05") in found
    assert json.loads(exported(some, "json", "statistics"))["overall"]["points"]["suggested"] == 6
    assert pyarrow.parquet.read_table(io.BytesIO(exported(some, "parquet", "statistics"))).num_rows


def loaded(content: bytes, folder: Path) -> COCO:
    path = folder / "coco.json"
    path.write_bytes(content)
    return COCO(path)


def test_coco_keypoints_load_in_pycocotools_and_round_trip(database, recorder, tmp_path):
    generator = random.Random(0)
    where = [(generator.uniform(1, 98), generator.uniform(1, 98)) for _ in range(4)]
    regions = predict(database, 1, detection(*where))
    left = [regions[0], relabelled(regions[1], "nose"), moved(regions[2], 0.1), regions[4]]
    event(database, annotation(1, left))
    coco = loaded(exported(recorder, "coco"), tmp_path)
    [category] = coco.loadCats(coco.getCatIds())
    assert category["keypoints"] == ["car 1", "car 2", "nose"]
    [found] = coco.loadAnns(coco.getAnnIds())
    points = found["keypoints"]
    expected = [where[0], (where[2][0] + 0.1, where[2][1]), where[1]]
    assert points[2::3] == [2, 2, 2]
    for (x, y), slot in zip(expected, range(3), strict=True):
        # COCO has the corner of the first pixel at 0, we its centre.
        assert points[3 * slot : 3 * slot + 2] == pytest.approx([x + 0.5, y + 0.5], abs=1e-9)
    assert (found["num_keypoints"], found["iscrowd"]) == (3, 0)
    [image] = coco.loadImgs(coco.getImgIds())
    assert (image["width"], image["height"], image["file_name"]) == (100, 100, "data/upload/1.png")


def test_each_rectangle_is_an_instance_with_its_area(database, recorder, tmp_path):
    regions = predict(database, 1, detection((10, 10), (70, 70), (95, 5)))
    boxes = [
        {
            "id": name,
            "from_name": "box",
            "to_name": "image",
            "type": "rectanglelabels",
            "value": {"x": at, "y": at, "width": 30, "height": 20, "rectanglelabels": [name]},
        }
        for name, at in (("left", 0), ("right", 60))
    ]
    event(database, annotation(1, [*regions, *boxes]))
    coco = loaded(exported(recorder, "coco"), tmp_path)
    found = coco.loadAnns(coco.getAnnIds())
    assert [(each["label"], each["num_keypoints"]) for each in found] == [
        ("left", 1),
        ("right", 1),
        (None, 1),
    ]
    assert [each["area"] for each in found[:2]] == pytest.approx([600, 600])


@pytest.mark.parametrize(("format_", "what"), [("xml", None), ("csv", "people"), ("coco", "log")])
def test_a_format_that_there_is_not_is_refused(recorder, format_, what):
    with pytest.raises(ExportError, match="expected"):
        export(AgreementQueries(recorder.database), format_, what, Filters(), dict)


EXPORT = """
import resource, sys
from backend.agreement.export import export
from backend.agreement.queries import AgreementQueries
from backend.database.connection import Database
from backend.verdicts.records import Filters
queries = AgreementQueries(Database(sys.argv[1]))
made = export(queries, sys.argv[2], None, Filters(), dict)
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


@pytest.mark.parametrize("format_", ["csv", "coco"])
def test_a_larger_log_needs_no_more_memory_to_export(logs, format_):
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
        assert size > 50 * count
    # KiB: three times the log weighs tens of megabytes more when it is held in memory.
    assert peak[60_000] - peak[20_000] < 8_000
