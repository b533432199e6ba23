"""What `make demo CHECK=1` says of suggestions, and when it fails."""

import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from loopback_server import Answer, Request, as_json, loopback_server

from backend.commands.demo_check import (
    NamedCounts,
    count_named,
    describe_named,
    named_row,
    print_check,
    result_row,
)
from backend.commands.demo_drawings import TrueLandmarks
from backend.commands.demo_project import DemoProject
from backend.commands.demo_subject import Subject
from backend.labelstudio.schemas import Prediction
from backend.labelstudio.shapes import read
from backend.local.label_studio import LocalLabelStudio

KEYPOINT = {"type": "keypointlabels", "value": {"keypointlabels": ["bus"]}}
CHOICE = {"type": "choices", "value": {"choices": ["bus"]}}
IMAGE = "/data/upload/1/0a1b2c3d-bus.png"
VERSION = "small-0123456789"

# The box is 100 px long, so a point is right within 5 px.
TRUE = TrueLandmarks((200, 100), 100.0, {"wheel": (99.5, 49.5), "lamp": (19.5, 49.5)})


def named(label: str, x: float, score: float | None = 0.75) -> dict[str, Any]:
    """A region at x % of the image, half way down."""
    return {
        "type": "keypointlabels",
        "original_width": 200,
        "original_height": 100,
        "score": score,
        "value": {"x": x, "y": 50, "width": 1, "keypointlabels": [label]},
    }


def records(*results: list[dict[str, Any]]) -> list[Prediction]:
    """Read predictions as Label Studio's API lists them."""
    row = {"id": 1, "task": 3, "model_version": VERSION}
    return [read(Prediction, row | {"result": result}) for result in results]


@pytest.mark.parametrize(
    ("results", "reason", "wrong"),
    [
        ([[KEYPOINT, KEYPOINT, CHOICE]], None, ""),
        ([[CHOICE]], None, "expected at least one keypoint, got none"),
        ([[KEYPOINT]] * 2, None, "expected one suggestion, got 2"),
        ([], None, "expected one suggestion, got 0"),
        ([], "the image is damaged", "the image is damaged"),
    ],
)
def test_a_task_is_in_order_with_one_suggestion_and_a_keypoint(results, reason, wrong):
    assert result_row(3, IMAGE, records(*results), reason)[-1] == wrong


def test_a_row_tells_the_image_its_points_and_its_class():
    row = result_row(3, IMAGE, records([KEYPOINT, KEYPOINT, CHOICE]), None)
    assert row == ("3", "bus.png", "1", "2", "bus", "")


def test_a_named_point_is_right_within_the_tolerance_of_the_landmark_of_its_name():
    points = [
        named("wheel", 52.4),  # 4.8 px off
        named("lamp", 12.6),  # 5.2 px off
        named("lamp", 50.0),  # on the wheel
        named("mirror", 50.0),  # not visible
        named("wheel", 50.0, score=None),  # drawn by hand
        CHOICE,
    ]
    counts = count_named(records(points), TRUE)
    assert (counts.shown, counts.right, counts.visible) == (4, 1, 2)
    assert counts.expected == pytest.approx(3.0)


def test_a_task_without_named_points_is_not_in_order():
    none = NamedCounts(0, 0, 0.0, 2)
    [prediction] = records([CHOICE])
    assert named_row(3, IMAGE, [prediction], none, None)[-1].startswith("expected named points")
    some = NamedCounts(2, 1, 1.5, 2)
    assert named_row(3, IMAGE, [prediction], some, None) == ("3", "bus.png", "1", "2", "1", "")


def test_the_figures_are_of_drawings_that_nobody_has_corrected():
    told = describe_named(NamedCounts(40, 30, 28.4, 50), corrected=5).replace("\n", " ")
    assert "After 5 corrected drawings" in told
    assert "40 named points are suggested for the 50 visible landmarks of the others" in told
    assert "30 of them (75 %) are right" in told
    assert "28 were expected" in told
    assert "no named points" in describe_named(NamedCounts(0, 0, 0.0, 50), corrected=5)


@pytest.mark.parametrize(
    ("places", "status"),
    [([50.0, 50.0, 50.0], 0), ([50.0, 50.0, 20.0], 0), ([50.0, 20.0, 20.0], 1)],
)
def test_the_check_fails_where_too_few_named_points_are_right(places, status, capsys):
    predictions = [
        {"id": task, "task": task, "model_version": VERSION, "result": [named("wheel", place)]}
        for task, place in enumerate(places, start=2)
    ]
    tasks = [{"id": task, "data": {"image": IMAGE}} for task in range(1, 5)]

    def answer(request: Request, _: object) -> Answer:
        if request.path.startswith("/api/predictions"):
            return as_json(predictions)
        return as_json({"tasks": tasks, "total": len(tasks)})

    subject = Subject("", Path(), "", None, None, {"bus.png": TRUE})
    with loopback_server(answer) as served:
        process = cast(subprocess.Popen[bytes], None)
        studio = LocalLabelStudio(served.url, "user", "password", "token", Path("log"), process)
        found = print_check(DemoProject(studio, 1), subject, [2, 3, 4], VERSION, {})
    assert found == status
    told = capsys.readouterr().out
    assert "3 of 3 tasks have their suggestion" in told
    assert "After 1 corrected drawings" in told
