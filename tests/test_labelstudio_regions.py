import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.class_controls import ClassControl, Option
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.regions import RegionError, task_box, to_keypoint, to_prediction
from model.keypoint import Box, Detection, Keypoint

MOVED = (
    Path(__file__).parents[2]
    / "shared"
    / "label-studio"
    / "samples"
    / "webhook_ANNOTATION_CREATED_move.json"
)

CONTROL = KeypointControl(
    from_name="kp",
    to_name="image",
    image_path="image",
    labels=("keypoint", "bus"),
    choices=ClassControl(
        "class", "image", "image", options=(Option(("bus",), ("bus",)), Option(("van",), ("van",)))
    ),
)


def detection(
    *keypoints: Keypoint, class_name: str = "bus", width: int = 640, height: int = 480
) -> Detection:
    return Detection(
        class_name=class_name,
        probability=0.7,
        keypoints=keypoints,
        width=width,
        height=height,
        box=Box(0, 0, width, height),
    )


def prediction(found: Detection, control: KeypointControl = CONTROL, **more: Any) -> dict[str, Any]:
    settings = {"key": "1.2/3", "model_version": "v", "default_label": None} | more
    return to_prediction(found, control, **settings)


def test_a_keypoint_becomes_the_region_that_label_studio_needs():
    """x: (319.5 + 0.5) / 640 = 50 %; y: (119.5 + 0.5) / 480 = 25 %."""
    made = prediction(detection(Keypoint(319.5, 119.5, 0.8, "bus")))
    keypoint, choice = made["result"]
    assert len(keypoint.pop("id")) == 10
    assert keypoint == {
        "from_name": "kp",
        "to_name": "image",
        "type": "keypointlabels",
        "original_width": 640,
        "original_height": 480,
        "image_rotation": 0,
        "score": 0.8,
        "value": {"x": 50.0, "y": 25.0, "width": 0.6, "keypointlabels": ["bus"]},
    }
    assert len(choice.pop("id")) == 10
    assert choice == {
        "from_name": "class",
        "to_name": "image",
        "type": "choices",
        "score": 0.7,
        "value": {"choices": ["bus"]},
    }
    assert (made["score"], made["model_version"]) == (0.7, "v")


def test_the_corners_of_the_image_are_0_and_100_percent():
    corners = (Keypoint(-0.5, -0.5, 1, ""), Keypoint(639.5, 479.5, 1, ""))
    first, last, _ = prediction(detection(*corners))["result"]
    assert (first["value"]["x"], first["value"]["y"]) == (0, 0)
    assert (last["value"]["x"], last["value"]["y"]) == (100, 100)


def test_ids_depend_on_the_key_alone_and_differ_within_a_prediction():
    found = detection(*(Keypoint(i, i, 1, "") for i in range(400)))
    ids = [region["id"] for region in prediction(found)["result"]]
    assert len(set(ids)) == 401
    assert ids == [region["id"] for region in prediction(found)["result"]]
    other = {region["id"] for region in prediction(found, key="1.2/4")["result"]}
    assert not other & set(ids)


def test_keypoints_keep_their_ids_whether_or_not_the_class_is_suggested():
    with_class, without = (
        prediction(detection(Keypoint(1, 1, 1, ""), class_name=name))["result"]
        for name in ("van", "lorry")
    )
    assert [region["type"] for region in with_class] == ["keypointlabels", "choices"]
    assert [region["type"] for region in without] == ["keypointlabels"]
    assert with_class[0]["id"] == without[0]["id"]


def test_a_class_that_is_no_label_gets_the_default_label_or_the_first():
    found = detection(Keypoint(1, 1, 1, ""), class_name="lorry")
    for default, expected in ((None, "keypoint"), ("bus", "bus"), ("nonsense", "keypoint")):
        region = prediction(found, default_label=default)["result"][0]
        assert region["value"]["keypointlabels"] == [expected]


def test_a_keypoint_beside_labels_makes_two_results_of_one_id():
    control = KeypointControl(
        "kp", "image", "image", ("hub",), None, plain=True, labels_from_name="names"
    )
    point, labelled = prediction(detection(Keypoint(319.5, 119.5, 0.8, "")), control)["result"]
    assert point["id"] == labelled["id"]
    assert (point["type"], point["from_name"]) == ("keypoint", "kp")
    assert point["value"] == {"x": 50.0, "y": 25.0, "width": 0.6}
    assert (labelled["type"], labelled["from_name"]) == ("labels", "names")
    assert labelled["value"] == {"x": 50.0, "y": 25.0, "width": 0.6, "labels": ["hub"]}
    assert to_keypoint(labelled) == Keypoint(319.5, 119.5, 0.8, "hub")


def test_a_keypoint_without_labels_makes_one_result():
    control = KeypointControl("kp", "image", "image", (), None, plain=True)
    (point,) = prediction(detection(Keypoint(319.5, 119.5, 0.8, "")), control)["result"]
    assert to_keypoint(point) == Keypoint(319.5, 119.5, 0.8, "")


def test_no_keypoints_and_no_class_make_an_empty_result():
    assert prediction(detection(class_name="lorry"))["result"] == []


def test_numbers_from_numpy_can_be_sent_as_json():
    import numpy as np

    point = Keypoint(np.float32(1.5), np.float64(2.5), np.float32(0.25), "bus")  # type: ignore[arg-type]
    made = prediction(detection(point, width=np.int64(640)))  # type: ignore[arg-type]
    assert json.loads(json.dumps(made)) == made


sides = st.integers(1, 100_000)


@given(sides, sides, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_there_and_back_again_is_exact(width: int, height: int, u: float, v: float, score: float):
    point = Keypoint(u * width - 0.5, v * height - 0.5, score, "bus")
    found = detection(point, width=width, height=height)
    region = json.loads(json.dumps(prediction(found)))["result"][0]
    assert 0 <= region["value"]["x"] <= 100
    assert 0 <= region["value"]["y"] <= 100
    back = to_keypoint(region)
    assert math.dist((back.x, back.y), (point.x, point.y)) < 1e-9
    assert (back.score, back.label) == (score, "bus")


def test_a_keypoint_that_was_moved_in_the_browser_is_read():
    """70.549… % of 801 px and 79.960… % of 601 px, worked out by hand from the captured event."""
    if not MOVED.exists():
        pytest.skip(f"captured requests are not at {MOVED}")
    region = json.loads(MOVED.read_text())["body"]["annotation"]["result"][0]
    assert region["origin"] == "prediction-changed"
    point = to_keypoint(region)
    assert (point.x, point.y) == pytest.approx((564.597647, 480.064314), abs=1e-6)
    assert (point.score, point.label) == (0.8712, "left_ear")


def test_a_persons_own_point_has_score_1_and_turning_the_picture_changes_nothing():
    region = {
        "id": "x",
        "type": "keypointlabels",
        "original_width": 200,
        "original_height": 100,
        "image_rotation": 90,
        "value": {"x": 50, "y": 10, "width": 0.283, "keypointlabels": ["bus"]},
    }
    assert to_keypoint(region) == Keypoint(99.5, 9.5, 1.0, "bus")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "rectanglelabels"},
        {"value": None},
        {"value": {"x": 1}},
        {"value": {"x": "1", "y": 2}},
        {"value": {"x": math.nan, "y": 2}},
        {"value": {"x": True, "y": 2}},
        {"original_width": 0},
        {"original_height": None},
        {"score": "high"},
    ],
)
def test_a_region_that_is_no_keypoint_is_refused(change: dict[str, Any]):
    region = prediction(detection(Keypoint(1, 1, 1, "")))["result"][0]
    with pytest.raises(RegionError, match="expected a"):
        to_keypoint(region | change)


def test_a_box_in_the_data_is_percent_of_the_image():
    task = {"data": {"box": {"x": 10, "y": 20, "width": 50, "height": 60}}}
    assert task_box(task, CONTROL, 640, 480) == Box(64, 96, 320, 288)


def test_a_box_is_cut_off_at_the_border():
    task = {"data": {"box": {"x": -10, "y": 50, "width": 200, "height": 100}}}
    assert task_box(task, CONTROL, 640, 480) == Box(0, 240, 640, 240)


def rectangle(x: float, kind: str = "rectanglelabels", to_name: str = "image") -> dict[str, Any]:
    value = {"x": x, "y": 25, "width": 50, "height": 50, "rotation": 0}
    return {"type": kind, "to_name": to_name, "value": value}


def test_the_newest_rectangle_on_the_image_is_the_box_and_drafts_come_first():
    old = {"updated_at": "2026-01-01T00:00:00Z", "result": [rectangle(1)]}
    new = {
        "updated_at": "2026-02-01T00:00:00Z",
        "result": [{"type": "choices"}, rectangle(2, to_name="other"), rectangle(3, "rectangle")],
    }
    draft = {"updated_at": "2025-01-01T00:00:00Z", "result": [rectangle(4), rectangle(5)]}
    empty = {"updated_at": "2026-03-01T00:00:00Z", "result": []}
    task: dict[str, Any] = {"data": {}, "annotations": [new, old, empty]}
    assert task_box(task, CONTROL, 100, 100) == Box(3, 25, 50, 50)
    task["drafts"] = [draft]
    assert task_box(task, CONTROL, 100, 100) == Box(4, 25, 50, 50)


def test_a_turned_rectangle_counts_as_its_bounding_box():
    """A square of 40 px turned by 45° about its top left corner is 40·√2 wide and high."""
    turned = {"x": 50, "y": 10, "width": 40, "height": 40, "rotation": 45}
    box = task_box({"data": {"box": turned}}, CONTROL, 100, 100)
    side = 40 * math.sqrt(2)
    assert box is not None
    assert (box.left, box.top) == pytest.approx((50 - side / 2, 10))
    assert (box.width, box.height) == pytest.approx((side, side))


@pytest.mark.parametrize("task", [{}, {"data": {}}, {"data": {"box": None}, "annotations": [7]}])
def test_without_a_box_the_whole_image_counts(task: dict[str, Any]):
    assert task_box(task, CONTROL, 640, 480) is None


@pytest.mark.parametrize(
    "box",
    [
        "10,20,50,60",
        [10, 20, 50, 60],
        {"x": 10, "y": 20, "width": 50},
        {"x": 10, "y": 20, "width": 0, "height": 60},
        {"x": 10, "y": 20, "width": 50, "height": -1},
        {"x": 10, "y": 20, "width": math.inf, "height": 60},
        {"x": 10, "y": 20, "width": "50", "height": 60},
        {"x": 100, "y": 20, "width": 50, "height": 60},
        {"x": 10, "y": 20, "width": 50, "height": 60, "rotation": None},
    ],
)
def test_a_box_that_makes_no_sense_is_refused(box: object):
    with pytest.raises(RegionError, match="expected a box"):
        task_box({"data": {"box": box}}, CONTROL, 640, 480)


def test_the_class_is_suggested_in_a_taxonomy_as_the_path_to_it():
    paths = (("bird",), ("bird", "duck"))
    tree = ClassControl(
        "tree", "image", "image", "taxonomy", True, tuple(Option(path, path) for path in paths)
    )
    control = replace(CONTROL, choices=tree)
    [region] = prediction(detection(class_name="duck"), control)["result"]
    assert (region["from_name"], region["type"]) == ("tree", "taxonomy")
    assert region["value"] == {"taxonomy": [["bird", "duck"]]}


def test_a_task_that_lists_no_label_gets_no_point():
    control = replace(CONTROL, labels=(), labels_path="labels", choices=None)
    assert prediction(detection(Keypoint(1, 2, 0.8, "bus")), control)["result"] == []


def test_a_keypoint_without_labels_of_its_own_needs_none():
    control = replace(CONTROL, labels=(), labels_path="labels", plain=True, labels_from_name="l")
    made = prediction(detection(Keypoint(1, 2, 0.8, "bus"), class_name="x"), control)
    assert [region["type"] for region in made["result"]] == ["keypoint"]
