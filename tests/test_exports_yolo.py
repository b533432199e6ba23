import csv
import io
import math
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from exporting import exported
from verdict_data import added, annotation, detection, event, predict, relabelled

from backend.agreement.exports.yolo import flip_idx


def archive_of(content: bytes) -> dict[str, str]:
    """Name → text of each file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def check_labels(text: str, description: dict[str, Any]) -> list[list[float]]:
    """Check a label file as Ultralytics' `verify_image_label` documents it, and return its rows."""
    count, dimensions = description["kpt_shape"]
    rows = [[float(cell) for cell in line.split()] for line in text.splitlines()]
    for row in rows:
        assert len(row) == 5 + count * dimensions
        points = [row[5 + at :: dimensions] for at in range(2)]
        assert max(map(max, points)) <= 1
        assert max(row[1:5]) <= 1
        assert min(row) >= 0
        assert min(row[3:5]) > 0
        assert row[0] in description["names"]
        assert set(row[7::dimensions]) <= {0, 1, 2}
    assert len({tuple(row) for row in rows}) == len(rows)  # equal rows would be dropped
    return rows


def test_labels_follow_the_rules_of_ultralytics(any_database):
    regions = predict(any_database, 1, detection((10, 10), (30, 40), width=200), image="/a/1.png")
    hidden = {**relabelled(regions[1], "nose"), "hidden": True}
    event(any_database, annotation(1, [regions[0], hidden]))
    event(any_database, annotation(2, predict(any_database, 2, detection()), number=2))
    found = archive_of(exported(any_database, "yolo"))
    description = yaml.safe_load(found["data.yaml"])
    assert description["kpt_shape"] == [3, 3]
    assert description["kpt_names"] == {0: ["car", "nose", "tail"]}
    assert description["flip_idx"] == [0, 1, 2]
    images = list(csv.DictReader(io.StringIO(found["images.csv"])))
    assert [each["file_name"] for each in images] == ["a/1.png", "data/upload/2.png"]
    texts = [_labels_of(each["image"], found) for each in images]
    assert check_labels(texts[1], description) == []  # a background
    [row] = check_labels(texts[0], description)
    car, nose = (10.5 / 200, 10.5 / 100, 2), (30.5 / 200, 40.5 / 100, 1)
    assert row == pytest.approx([0, 0.5, 0.5, 1, 1, *car, *nose, 0, 0, 0], abs=1e-6)


def _labels_of(image: str, found: dict[str, str]) -> str:
    """Find the labels of an image where Ultralytics looks for them."""
    path = Path(image.replace("images/", "labels/", 1)).with_suffix(".txt")
    return found[str(path)]


def test_a_point_on_the_border_stays_inside(any_database):
    predict(any_database, 1, detection((50, 50)))
    event(any_database, annotation(1, [added(100 + 1e-7, -1e-7), added(0, 0, "nose", "b")]))
    found = archive_of(exported(any_database, "yolo"))
    [text] = [text for name, text in found.items() if name.startswith("labels/")]
    [row] = check_labels(text, yaml.safe_load(found["data.yaml"]))
    assert row[5:11] == [1, 0, 2, 0, 0, 2]


def test_images_are_split_by_their_file_name_always_the_same_way(any_database):
    for task in range(1, 61):
        image = f"/set/{(task - 1) // 2}.png?signature={task}"  # two tasks an image
        regions = predict(any_database, task, detection((10, 10)), image=image)
        event(any_database, annotation(task, regions))
    content = exported(any_database, "yolo")
    assert content == exported(any_database, "yolo")
    splits: dict[str, set[str]] = {}
    for row in csv.DictReader(io.StringIO(archive_of(content)["images.csv"])):
        splits.setdefault(row["file_name"], set()).add(row["image"].split("/")[1])
    assert len(splits) == 30
    assert all(len(found) == 1 for found in splits.values())
    held = sum(found == {"val"} for found in splits.values())
    assert abs(held - 6) < 3 * math.sqrt(30 * 0.2 * 0.8)


def test_there_is_one_annotation_per_image(any_database):
    regions = predict(any_database, 1, detection((10, 10), (30, 30)))
    event(any_database, annotation(1, regions, number=1, annotator=1))
    event(any_database, annotation(1, regions[1:], number=2, annotator=2, minutes=5))
    found = archive_of(exported(any_database, "yolo"))
    [text] = [text for name, text in found.items() if name.startswith("labels/")]
    assert len(text.splitlines()) == 1


def test_a_mirrored_image_swaps_left_and_right():
    labels = ["nose", "Left Eye", "right eye", "L_ear", "R_ear", "left paw", "tail L", "cleft"]
    assert flip_idx(labels) == [0, 2, 1, 4, 3, 5, 6, 7]
    assert flip_idx([]) == []
