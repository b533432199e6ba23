import itertools
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_pairs import PAIR, SIDES, as_sent, config_of, made, pair_task
from verdict_data import detection

from backend.database.connection import Database
from backend.labelstudio.label_config import LabelConfigError, control_names, keypoint_control
from backend.labelstudio.regions import to_keypoint
from backend.suggestions.listed import has_box
from backend.suggestions.records import Wanted
from backend.suggestions.several_images import IMAGES, part_about, views_of
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from model.keypoint import Keypoint

CONTROL = keypoint_control(PAIR)
LEFT = detection((10, 10), (30, 20), width=100, height=50)
RIGHT = detection((5, 70), width=60, height=80, class_name="bus")


def wanted(task: dict[str, Any], config: str = PAIR) -> Wanted:
    found = wanted_of(task, keypoint_control(config))
    assert found is not None
    return found


def rectangle(side: str, x: float) -> dict[str, Any]:
    value = {"x": x, "y": 10, "width": 20, "height": 20}
    return {"id": side, "type": "rectangle", "to_name": side, "from_name": "box", "value": value}


def drafted(*regions: dict[str, Any]) -> dict[str, Any]:
    return pair_task(1) | {"drafts": [{"result": list(regions), "updated_at": "2026"}]}


def test_a_task_is_one_prediction_of_all_its_images() -> None:
    found = wanted(pair_task(1))
    assert found.image_url == "/data/left/1.png"
    assert found.task == {IMAGES: [["left", "/data/left/1.png"], ["right", "/data/right/1.png"]]}


@pytest.mark.parametrize("side", SIDES)
def test_another_address_of_either_image_is_another_prediction(side: str) -> None:
    found = wanted(pair_task(1))
    assert wanted(pair_task(1, **{side: "/other.png"})).input_sha256 != found.input_sha256
    assert wanted(pair_task(2)).task != found.task


def test_without_a_second_image_the_prediction_is_that_of_a_task_with_one() -> None:
    for missing in ("", None, {"no": "address"}):
        found = wanted(pair_task(1, right=missing))
        assert found == wanted(pair_task(1), config_of("left"))
        assert found.task == {}


def test_without_the_first_image_the_second_gets_its_suggestions() -> None:
    found = wanted(pair_task(1, left=None, box={"x": 0, "y": 0, "width": 10, "height": 10}))
    assert found.refusal is None
    assert (found.image_url, found.task) == (
        "/data/right/1.png",
        {IMAGES: [["right", "/data/right/1.png"]]},
    )


def test_without_any_image_it_is_refused() -> None:
    refusal = wanted(pair_task(1, left=None, right=None)).refusal
    assert refusal is not None and "'left'" in refusal


def test_the_images_of_a_repeater_are_the_images_that_the_task_has() -> None:
    config = (
        '<View><Repeater on="$pages" indexFlag="{{i}}"><View><Image name="page_{{i}}" '
        'value="$pages[{{i}}].url"/><KeyPointLabels name="kp_{{i}}" toName="page_{{i}}">'
        '<Label value="nose"/></KeyPointLabels></View></Repeater></View>'
    )
    pages = [{"url": f"/{number}.png"} for number in range(3)]
    found = wanted({"id": 1, "data": {"pages": pages}}, config)
    assert found.task == {IMAGES: [[f"page_{place}", f"/{place}.png"] for place in range(3)]}
    control = keypoint_control(config).on("page_2")
    assert control is not None and control.from_name == "kp_2" and control.labels == ("nose",)
    assert wanted({"id": 1, "data": {"pages": []}}, config).refusal is not None
    assert control_names(config) >= {"kp_0", "kp_29"}
    outermost = config.removeprefix("<View>").removesuffix("</View>")
    assert keypoint_control(outermost) == keypoint_control(config)
    inside = config.replace("<Label ", "<Repeater><Label ").replace("/></Key", "/></Repeater></Key")
    with pytest.raises(LabelConfigError, match="at least one <Label"):
        keypoint_control(inside)


def test_the_box_in_the_data_is_about_the_first_image() -> None:
    found = wanted(pair_task(1, box={"x": 0, "y": 0, "width": 10, "height": 10}))
    assert [has_box(part_about(found.task, side)) for side in SIDES] == [True, False]


def test_a_rectangle_is_about_the_image_it_is_drawn_on() -> None:
    found = [wanted(drafted(rectangle(side, 10))) for side in SIDES]
    assert len({each.input_sha256 for each in found} | {wanted(pair_task(1)).input_sha256}) == 3
    for side, each in zip(SIDES, found, strict=True):
        boxes = {name: has_box(part_about(each.task, name)) for name in SIDES}
        assert boxes == {name: name == side for name in SIDES}
    moved = wanted(drafted(rectangle("right", 30)))
    assert moved.input_sha256 != found[1].input_sha256


def test_what_was_found_on_each_image_is_kept(any_database: Database) -> None:
    points = tuple(Keypoint(each, 2 * each, 0.5, "car") for each in range(30))
    found = [replace(each, candidates=each.keypoints + points) for each in (LEFT, RIGHT)]
    row = made(any_database, 1, found)
    storage = PredictionStorage(any_database)
    views = views_of(row)
    assert [view.detection for view in views] == [LEFT, RIGHT]
    assert len({view.key for view in views}) == 2
    assert [len(storage.candidates(view) or ()) for view in views] == [32, 31]
    assert [each.detection for each in storage.of_task(1)[0].images] == [LEFT, RIGHT]


def test_one_prediction_has_the_regions_of_all_images(any_database: Database) -> None:
    sent = as_sent(any_database, made(any_database, 1, [LEFT, RIGHT]))
    found = [(each["to_name"], each["from_name"], each["type"]) for each in sent["result"]]
    points = [(side, f"points-{side}", "keypointlabels") for side in ("left", "left", "right")]
    classes = [(side, f"class-{side}", "choices") for side in SIDES]
    assert found == [*points[:2], classes[0], points[2], classes[1]]
    ids = [each["id"] for each in sent["result"]]
    assert len(set(ids)) == len(ids)
    sizes = {(each["to_name"], each.get("original_width")) for each in sent["result"]}
    assert sizes >= {("left", 100), ("right", 60)}
    assert sent["score"] == 0.8


def test_its_score_is_the_mean_over_the_images(database: Database) -> None:
    low = replace(RIGHT, probability=0.4)
    assert as_sent(database, made(database, 1, [LEFT, low]))["score"] == pytest.approx(0.6)


@pytest.mark.parametrize("number", [0, 1])
def test_an_image_that_cannot_be_used_leaves_the_other_its_suggestions(
    any_database: Database, number: int
) -> None:
    both = [LEFT, RIGHT]
    row = made(any_database, 1, [*both[:number], None, *both[number + 1 :]])
    assert row.images[number].reason == "it is missing"
    regions = as_sent(any_database, row)["result"]
    assert {each["to_name"] for each in regions} == {SIDES[1 - number]}
    complete = as_sent(any_database, made(any_database, 2, both))["result"]
    own = [each for each in complete if each["to_name"] == SIDES[1 - number]]
    assert points_of(regions) == points_of(own) != []


def test_an_image_that_left_the_configuration_is_left_out(database: Database) -> None:
    row = made(database, 1, [LEFT, RIGHT])
    sent = as_sent(database, row, config_of("left"))
    assert {each["to_name"] for each in sent["result"]} == {"left"}


def test_a_class_about_several_images_is_suggested_once(database: Database) -> None:
    choices = '<Choices name="class" toName="left,right"><Choice value="car"/></Choices>'
    config = re.sub("<Choices.*?</Choices>", "", PAIR).replace("</View>", f"{choices}</View>")
    sent = as_sent(database, made(database, 1, [LEFT, LEFT], config), config)
    assert [each["to_name"] for each in sent["result"] if each["type"] == "choices"] == ["left"]


positions = st.lists(
    st.tuples(st.floats(0, 59), st.floats(0, 49)), min_size=0, max_size=5, unique=True
)
NUMBERS = itertools.count(1)
SAME_DATABASE = settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def points_of(regions: list[dict[str, Any]]) -> list[tuple[str, str, float, float, float]]:
    """What each point says, without names of controls and ids."""
    found = []
    for each in regions:
        if each["type"] == "keypointlabels":
            point = to_keypoint(each)
            found.append((each["to_name"], point.label, point.x, point.y, point.score))
    return found


@SAME_DATABASE
@given(left=positions, right=positions)
def test_swapping_the_images_of_a_configuration_swaps_their_regions_alone(
    database: Database, left: Any, right: Any
) -> None:
    first, second = detection(*left, width=100, height=50), detection(*right, width=60, height=80)
    sent = as_sent(database, made(database, next(NUMBERS), [first, second]))
    config = config_of("right", "left")
    swapped = as_sent(database, made(database, next(NUMBERS), [second, first], config), config)
    assert sorted(points_of(sent["result"])) == sorted(points_of(swapped["result"]))
    assert sent["score"] == swapped["score"]


@SAME_DATABASE
@given(left=positions, right=positions)
def test_each_image_has_the_points_that_it_has_as_the_only_one_of_a_task(
    database: Database, left: Any, right: Any
) -> None:
    both = [detection(*left, width=100, height=50), detection(*right, width=60, height=80)]
    sent = as_sent(database, made(database, next(NUMBERS), both))["result"]
    for side, found in zip(SIDES, both, strict=True):
        config = config_of(side)
        alone = as_sent(database, made(database, next(NUMBERS), [found], config), config)["result"]
        own = [each for each in sent if each["to_name"] == side]
        assert points_of(own) == points_of(alone)
        assert len(own) == len(alone)


def test_views_of_a_task_with_one_image_are_the_row_itself(database: Database) -> None:
    row = replace(made(database, 1, [LEFT, RIGHT]), task={}, images=())
    assert views_of(row) == [row]
