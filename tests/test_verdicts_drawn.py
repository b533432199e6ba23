from dataclasses import replace
from typing import Any

import pytest
from verdict_data import added

from backend.labelstudio.visibility import VisibilityControl
from backend.verdicts.drawn import Shown, Unusable, read_regions, read_suggestions, text_of
from model.keypoint import Box

SHOWN = Shown((), 200, 100, Box(0, 0, 200, 100))


def rectangle(**more: Any) -> dict[str, Any]:
    value = {"x": 10, "y": 20, "width": 30, "height": 40, "rectanglelabels": ["bird"]}
    return {"id": "r", "to_name": "image", "type": "rectanglelabels", "value": value, **more}


def test_a_point_is_measured_in_pixels_of_the_decoded_image():
    drawn = read_regions([added(50, 10, side=999)], SHOWN, "image")
    [point] = drawn.points
    assert (point.x, point.y, point.label) == (99.5, 9.5, "car")
    assert (point.by_hand, point.score, point.number) == (True, None, None)


def test_suggestions_are_numbered_in_their_order():
    choice = {"id": "c", "type": "choices", "to_name": "image", "value": {"choices": ["car"]}}
    shown = Shown([added(1, 1), choice, added(2, 2)], 100, 100, Box(0, 0, 100, 100))
    points, suggested = read_suggestions(shown)
    assert [point.number for point in points] == [0, 1]
    assert suggested is choice


@pytest.mark.parametrize(
    ("x", "inside"), [(0, True), (100, True), (100 + 1e-9, True), (100.001, False), (-1, False)]
)
def test_a_point_outside_the_image_is_not_used(x: float, inside: bool):
    drawn = read_regions([added(x, 50)], SHOWN, "image")
    assert len(drawn.points) == inside
    assert drawn.unused == ([] if inside else ["a point outside the image"])
    assert drawn.unreadable == (set() if inside else {"manual0001"})


def test_a_rectangle_is_an_object_and_nothing_else():
    drawn = read_regions([rectangle(), rectangle(value={"x": 1})], SHOWN, "image")
    [found] = drawn.objects
    assert (found.region_id, found.label, found.box) == ("r", "bird", Box(20, 20, 60, 40))
    assert drawn.unused == [
        "a rectangle, of which only the size counts, as the object's",
        "a rectangle without usable numbers",
    ]


def test_a_rectangle_without_a_label_takes_that_of_the_labels_with_its_id():
    plain = rectangle(type="rectangle", value={"x": 10, "y": 20, "width": 30, "height": 40})
    labels = {"id": "r", "type": "labels", "to_name": "image", "value": {"labels": ["wheel"]}}
    drawn = read_regions([plain, labels], SHOWN, "image")
    assert [each.label for each in drawn.objects] == ["wheel"]


def test_labels_name_the_region_with_their_id():
    plain = {**added(50, 50), "type": "keypoint"}
    labels = {"id": plain["id"], "type": "labels", "to_name": "image", "value": {"labels": ["hub"]}}
    drawn = read_regions([plain, labels], SHOWN, "image")
    assert [point.label for point in drawn.points] == ["hub"]
    assert drawn.unused == []


def test_a_choice_about_a_point_is_not_the_class():
    about = {"id": "manual0001", "type": "choices", "to_name": "image", "value": {"choices": [1]}}
    drawn = read_regions([added(5, 5), about], SHOWN, "image")
    assert drawn.choices == []
    assert drawn.unused == ["a choice about a single point"]


VISIBILITY = VisibilityControl("seen", "image", (("occluded", "occluded"),))


def test_the_control_for_visibility_says_which_point_is_occluded():
    seen = {
        "id": "manual0001",
        "from_name": "seen",
        "type": "choices",
        "to_name": "image",
        "value": {"choices": ["occluded"]},
    }
    shown = replace(SHOWN, visibility=VISIBILITY)
    other = {**seen, "from_name": "sex", "value": {"choices": ["male"]}}
    drawn = read_regions([added(5, 5), seen, other, added(9, 9, region_id="b")], shown, "image")
    assert [point.visibility for point in drawn.points] == ["occluded", None]
    assert drawn.choices == []
    assert drawn.unused == ["a choice about a single point"]
    without = read_regions([added(5, 5), seen], SHOWN, "image")
    assert [point.visibility for point in without.points] == [None]


def test_each_further_label_of_labels_beside_a_point_is_counted():
    plain = {**added(50, 50), "type": "keypoint"}
    value = {"labels": ["hub", "rim", "tyre"]}
    labels = {"id": plain["id"], "type": "labels", "to_name": "image", "value": value}
    drawn = read_regions([plain, labels], SHOWN, "image")
    assert [point.label for point in drawn.points] == ["hub"]
    assert drawn.unused == ["a further label of a point"] * 2


@pytest.mark.parametrize("to_name", [None, "image"])
def test_a_relation_is_listed_as_one(to_name: str | None):
    relation = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
    drawn = read_regions([added(5, 5), relation], SHOWN, to_name)
    assert (len(drawn.points), drawn.unused) == (1, ["a relation between regions"])


def test_a_region_without_the_name_of_its_image_says_so():
    nameless = {name: value for name, value in added(5, 5).items() if name != "to_name"}
    drawn = read_regions([added(5, 5), nameless, {"type": "brushlabels"}], SHOWN, "image")
    assert len(drawn.points) == 1
    assert drawn.unused == ["a region that does not name its image"] * 2
    with pytest.raises(Unusable, match="no point names its image"):
        read_regions([nameless], SHOWN, "image")


def test_points_on_another_image_alone_are_unusable():
    with pytest.raises(Unusable, match="configuration was changed"):
        read_regions([added(5, 5)], SHOWN, "picture")
    assert read_regions([rectangle()], SHOWN, "picture").unused == ["a region on another image"]


def test_a_box_that_covers_the_image_is_no_box():
    assert (SHOWN.task_box, SHOWN.length) == (None, 200)
    part = Shown((), 200, 100, Box(10, 10, 50, 80))
    assert (part.task_box, part.length) == (Box(10, 10, 50, 80), 80)


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (5, "5"), ("", None), (None, None), ([], None), (1.5, None), ("a\0\ud800", "a ?")],
)
def test_an_id_is_text_that_every_database_takes(value: object, text: str | None):
    assert text_of(value) == text
