"""What is learnt from annotations of tasks that were never predicted."""

from typing import Any

import pytest
from verdict_data import CONFIG, added

from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.schemas import Task
from backend.learning.records import UNKNOWN_SIZE
from backend.verdicts.drawings import Drawing, drawing_from_json, drawing_of, state_of_drawing
from backend.verdicts.lessons import FinalPoint, lessons_of
from model.keypoint import Box

CONTROL = keypoint_control(CONFIG)
URL = "/data/upload/1.png"
RECTANGLE = {
    "id": "box",
    "to_name": "image",
    "type": "rectanglelabels",
    "value": {"x": 0, "y": 0, "width": 50, "height": 50, "rectanglelabels": ["car"]},
}


def drawing(*regions: object, **data: Any) -> Drawing | None:
    task = Task(id=1, data={"image": URL, **data})
    return drawing_of(list(regions), task, CONTROL)


def test_points_are_read_in_the_size_that_the_editor_noted() -> None:
    found = drawing(added(50, 25, "nose", side=200))
    assert found == Drawing(URL, 200, 200, None, [], [FinalPoint("nose", 99.5, 49.5, None)])


def test_without_a_size_lengths_are_shares_of_the_image() -> None:
    """Scripts that import annotations often leave it out."""
    region = {**added(50, 25, "nose"), "original_width": None}
    found = drawing(region, box={"x": 10, "y": 20, "width": 50, "height": 60})
    assert found is not None
    assert (found.width, found.height) == (UNKNOWN_SIZE, UNKNOWN_SIZE)
    assert found.points == [FinalPoint("nose", 0.0, -0.25, None)]
    assert found.box is not None
    assert found.box.left == pytest.approx(0.1) and found.box.height == pytest.approx(0.6)


def test_each_rectangle_has_the_points_in_it() -> None:
    found = drawing(added(10, 10, "nose"), added(90, 90, "tail", "other"), RECTANGLE)
    assert found is not None
    assert found.objects == [Box(0, 0, 50, 50)]
    assert [point.object for point in found.points] == [0, None]
    [lesson] = lessons_of(state_of_drawing(1, found), CONTROL.labels)
    assert (lesson.object, lesson.box, lesson.class_name) == (0, Box(0, 0, 50, 50), "")
    assert dict(lesson.points) == {"nose": (9.5, 9.5)}
    assert lesson.absent == ("car", "tail")


def test_a_label_that_is_configured_later_makes_no_other_drawing() -> None:
    found = drawing(added(10, 10, "nose"))
    assert found is not None
    state = state_of_drawing(1, found)
    [before], [after] = (list(lessons_of(state, labels)) for labels in (("nose",), ("nose", "ear")))
    assert before.drawn == after.drawn is not None
    moved = drawing(added(11, 10, "nose"))
    assert moved is not None
    [other] = lessons_of(state_of_drawing(1, moved), ("nose",))
    assert other.drawn != before.drawn


def test_a_drawing_is_stored_as_it_is() -> None:
    box = {"x": 10, "y": 20, "width": 50, "height": 60}
    found = drawing(added(10, 10, "nose"), RECTANGLE, box=box)
    assert found is not None and found.box == Box(10, 20, 50, 60)
    assert drawing_from_json(found.as_json()) == found


@pytest.mark.parametrize(
    ("regions", "data"),
    [
        ([], {}),
        ([RECTANGLE], {}),
        ([added(10, 10, "nose")], {"image": None}),
        ([added(10, 10, "nose")], {"box": {"x": 10}}),
        ([{**added(10, 10, "nose"), "to_name": "other"}], {}),
        ([added(110, 10, "nose")], {}),
    ],
)
def test_there_is_none_without_a_point_on_the_image(
    regions: list[object], data: dict[str, Any]
) -> None:
    assert drawing(*regions, **data) is None
