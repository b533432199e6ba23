"""What is on the image while an annotator works, and which object a point belongs to."""

from datetime import UTC, datetime
from typing import Any

import pytest

from backend.labelstudio.schemas import Task
from backend.labelstudio.shapes import read
from backend.suggestions.drawing import (
    PlacedPoint,
    Size,
    drawn_so_far,
    object_at,
    size_of,
)
from model.keypoint import Box

SIZE = Size(200, 100)


def region(region_id: str, label: str, x: float, y: float, **more: Any) -> dict[str, Any]:
    """A point at a place in percent."""
    return {
        "id": region_id,
        "type": "keypointlabels",
        "to_name": "image",
        "from_name": "kp",
        "origin": "manual",
        "value": {"x": x, "y": y, "width": 1, "keypointlabels": [label]},
        **more,
    }


def rectangle(region_id: str, x: float, y: float, width: float, height: float) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": width, "height": height}
    return {"id": region_id, "type": "rectangle", "to_name": "image", "value": value}


def drawn(prompt: dict[str, Any], **lists: Any) -> dict[str, PlacedPoint]:
    task = read(Task, {"id": 1, "data": {}, **lists})
    return {point.region_id: point for point in drawn_so_far(task, [prompt], "image", SIZE).points}


def prediction(*regions: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {"id": number, "result": list(regions), "model_version": "a"}


BEAK = region("placed", "beak", 10, 10)


def test_the_newest_draft_says_what_is_on_the_image_and_what_people_have_confirmed() -> None:
    suggested = region("b", "tail", 50, 50, origin="prediction")
    moved = region("c", "eye", 30, 30, origin="prediction-changed")
    drafts = [
        {"result": [region("old", "tail", 1, 1)], "updated_at": "2026-11-22T10:00:00Z"},
        {"result": [suggested, moved], "updated_at": "2026-11-22T11:00:00Z"},
    ]
    found = drawn(BEAK, drafts=drafts, predictions=[prediction(region("p", "foot", 1, 1))])
    assert found == {
        "b": PlacedPoint("b", "tail", 99.5, 49.5, False),
        "c": PlacedPoint("c", "eye", 59.5, 29.5, True),
    }
    task = read(Task, {"id": 1, "drafts": drafts})
    moment = datetime(2026, 11, 22, 11, tzinfo=UTC)
    assert drawn_so_far(task, [BEAK], "image", SIZE).saved_at == moment


def test_without_a_draft_the_newest_prediction_is_on_the_image_unless_it_has_what_was_placed() -> (
    None
):
    older = prediction(region("o", "wing", 1, 1), number=1)
    newer = prediction(region("n", "tail", 80, 80), number=2)
    assert drawn(BEAK, predictions=[older, newer]).keys() == {"n"}
    with_beak = prediction(region("x", "beak", 90, 90), region("n", "tail", 80, 80), number=3)
    assert drawn(BEAK, predictions=[older, newer, with_beak]) == {}


def test_a_rectangle_around_landmarks_of_a_prediction_tells_that_it_is_not_shown() -> None:
    shown = prediction(region("n", "tail", 80, 80))
    assert drawn(rectangle("box", 70, 70, 20, 20), predictions=[shown]) == {}
    assert drawn(rectangle("box", 0, 0, 20, 20), predictions=[shown]).keys() == {"n"}


def test_points_that_share_one_label_do_not_tell_whether_predictions_are_shown() -> None:
    points = prediction(region("a", "beak", 12, 10), region("b", "beak", 50, 50))
    assert drawn(BEAK, predictions=[points]).keys() == {"a", "b"}


def test_an_annotation_that_has_the_landmark_at_the_same_place_is_somebody_elses() -> None:
    here = {"id": 5, "result": [region("a", "beak", 11, 11), region("b", "tail", 50, 50)]}
    elsewhere = {"id": 5, "result": [region("a", "beak", 90, 90), region("b", "tail", 50, 50)]}
    assert drawn(BEAK, annotations=[here]) == {}
    assert drawn(BEAK, annotations=[elsewhere]).keys() == {"a", "b"}


def test_regions_of_other_images_and_malformed_ones_are_left_out() -> None:
    drafts = [
        {
            "result": [
                region("a", "beak", 1, 1, to_name="other"),
                region("b", "beak", 1, 1, value={"x": "far"}),
                {"id": "c", "type": "choices", "to_name": "image", "value": {"choices": ["x"]}},
                rectangle("d", 0, 0, 0, 5),
                {},
            ]
        }
    ]
    assert drawn(BEAK, drafts=drafts) == {}


@pytest.mark.parametrize("sides", [{}, {"original_width": "wide", "original_height": 3}])
def test_without_the_images_size_lengths_are_percent(sides: dict[str, Any]) -> None:
    assert size_of([sides]) == Size(100, 100)
    assert size_of([sides, {"original_width": 64, "original_height": 48}]) == Size(64, 48)


def placed(region_id: str, label: str, x: float, y: float) -> PlacedPoint:
    return PlacedPoint(region_id, label, x, y, True)


def test_the_object_of_a_point_is_the_smallest_rectangle_around_it() -> None:
    boxes = [Box(0, 0, 100, 100), Box(10, 10, 40, 40)]
    here = object_at(placed("a", "beak", 20, 20), [], boxes)
    assert here.box == boxes[1]
    assert here.has(45, 45)
    assert not here.has(60, 60)


def test_a_point_outside_all_rectangles_belongs_to_none_of_their_objects() -> None:
    here = object_at(placed("a", "beak", 80, 80), [], [Box(0, 0, 40, 40)])
    assert here.box is None
    assert here.has(60, 60)
    assert not here.has(20, 20)


def test_without_rectangles_a_place_belongs_to_the_nearest_of_equal_landmarks() -> None:
    other = placed("b", "beak", 90, 10)
    here = object_at(placed("a", "beak", 10, 10), [other, placed("c", "tail", 95, 30)], [])
    assert here.has(40, 30)
    assert not here.has(95, 30)
