import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_data import (
    CONFIG,
    CONFIG_WITH_VISIBILITY,
    added,
    detection,
    moved,
    relabelled,
    said,
)

from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.regions import to_prediction
from backend.labelstudio.visibility import visibility_control
from backend.verdicts.drawn import Shown, Unusable
from backend.verdicts.judging import UNKNOWN_CHOICE, VERDICTS, Judgement, judge
from model.keypoint import Box


def shown(
    *positions: tuple[float, float], side: int = 100, box: Box | None = None, key: str = "a"
) -> Shown:
    """What an annotator sees of points in px, on a square image."""
    found = detection(*positions, width=side, height=side, box=box)
    sent = to_prediction(
        found, keypoint_control(CONFIG), key=key, model_version="v", default_label=None
    )
    return Shown(sent["result"], side, side, found.box)


def points(judgement: Judgement) -> list[str]:
    return [each.verdict for each in judgement.verdicts if each.kind == "point"]


def rectangle(x: float, y: float, width: float, height: float, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": width, "height": height, "rectanglelabels": ["bird"]}
    region = {"id": "box", "from_name": "r", "to_name": "image", "type": "rectanglelabels"}
    return {**region, "value": value, **more}


def without_id(region: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in region.items() if name != "id"}


def test_each_act_of_an_annotator_gets_its_own_verdict():
    seen = shown((10, 10), (30, 30), (50, 50), (70, 70), (90, 90))
    first, second, third, fourth, _, choice = seen.result
    result = [
        first,
        moved(second, 3, 4),
        relabelled(third, "nose"),
        moved(relabelled(fourth, "tail"), 0, 5),
        added(20, 80),
        choice,
    ]
    judgement = judge(seen, result, made_from_it=True)
    assert points(judgement) == [
        "accepted",
        "moved",
        "relabelled",
        "moved_and_relabelled",
        "deleted",
        "added",
    ]
    displacements = [each.displacement for each in judgement.verdicts if each.kind == "point"]
    assert displacements == [0, pytest.approx(5), 0, pytest.approx(5), None, None]
    assert [each.verdict for each in judgement.verdicts if each.kind == "choice"] == ["accepted"]
    assert judgement.unused == ()


def test_a_changed_visibility_is_no_other_verdict_and_stands_beside_it():
    seen = replace(
        shown((10, 10), (30, 30), (50, 50)), visibility=visibility_control(CONFIG_WITH_VISIBILITY)
    )
    first, second, third, _ = seen.result
    suggested = [first, said(first, "visible"), second, said(second, "visible"), third]
    left = [first, said(first, "occluded"), moved(second, 5), added(20, 80)]
    result = [*left, said(left[-1], "visible")]
    judgement = judge(replace(seen, result=suggested), result, made_from_it=True)
    assert [
        (each.verdict, each.suggested_visibility, each.final_visibility)
        for each in judgement.verdicts
    ] == [
        ("accepted", "visible", "occluded"),
        ("moved", "visible", None),
        ("deleted", None, None),
        ("added", None, "visible"),
    ]
    assert judgement.unused == ()


def test_geometry_decides_and_not_what_the_origin_says():
    seen = shown((10, 10), (50, 50))
    first, second, _ = seen.result
    same = {**first, "origin": "prediction-changed"}
    elsewhere = {**moved(second, 5), "origin": "prediction"}
    assert points(judge(seen, [same, elsewhere], made_from_it=True)) == ["accepted", "moved"]


def test_points_without_ids_go_to_the_nearest_suggestion_with_their_label_first():
    seen = shown((50, 50), (54, 50))
    seen.result[1]["value"]["keypointlabels"] = ["nose"]
    left, right, _ = seen.result
    # Nearer to the left one, but labelled as the right one.
    result = [without_id(moved(right, -3)), without_id(moved(left, 0.5))]
    judgement = judge(seen, result, made_from_it=False)
    assert points(judgement) == ["moved", "moved"]
    assert [each.final_x for each in judgement.verdicts[1:]] == pytest.approx([50.5, 51])


def test_points_too_far_apart_are_not_paired_without_an_id():
    seen = shown((10, 10))
    judgement = judge(seen, [without_id(moved(seen.result[0], 11))], made_from_it=False)
    assert points(judgement) == ["deleted", "added"]


def test_a_point_drawn_where_one_was_deleted_is_a_new_one():
    seen = shown((10, 10), (50, 50))
    first, _, _ = seen.result
    judgement = judge(seen, [first, added(50.6, 50.6)], made_from_it=True)
    assert points(judgement) == ["accepted", "deleted", "added"]
    assert [each.suggested_hit for each in judgement.verdicts[1:3]] == [True, True]


def test_points_drawn_after_deleting_all_suggestions_are_additions():
    seen = shown((10, 10))
    assert points(judge(seen, [added(10.6, 10.5)], made_from_it=True)) == ["deleted", "added"]


def test_an_annotation_from_elsewhere_is_compared_by_distance_alone():
    seen = shown((10, 10))
    assert points(judge(seen, [added(10.6, 10.5)], made_from_it=False)) == ["moved"]


def test_two_regions_of_one_id_are_one_suggestion_kept_and_a_point_added():
    seen = shown((10, 10))
    result = [seen.result[0], moved(seen.result[0], 20)]
    assert points(judge(seen, result, made_from_it=True)) == ["accepted", "added"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"x": math.nan, "y": 5}, "a point without usable numbers"),
        ({"x": "NaN", "y": 5}, "a point without usable numbers"),
        ({"x": 140, "y": 5}, "a point outside the image"),
        ({"y": 5}, "a point without usable numbers"),
    ],
)
def test_a_suggestion_whose_correction_cannot_be_read_is_neither_kept_nor_deleted(value, reason):
    seen = shown((10, 10), (50, 50))
    broken = {**seen.result[0], "value": {**value, "width": 1, "keypointlabels": ["car"]}}
    judgement = judge(seen, [broken, seen.result[1]], made_from_it=True)
    assert points(judgement) == ["accepted"]
    assert judgement.unused == (reason,)


def test_regions_of_other_tools_are_listed_with_their_tool():
    seen = shown((10, 10))
    brush = {"id": "b", "to_name": "image", "type": "brushlabels", "value": {"rle": [1]}}
    elsewhere = {**added(1, 1), "to_name": "other"}
    judgement = judge(seen, [*seen.result, brush, 7, elsewhere], made_from_it=True)
    assert points(judgement) == ["accepted"]
    assert sorted(judgement.unused) == [
        "a region of another tool (brushlabels)",
        "a region on another image",
        "a region that is not an object",
    ]


def test_a_configuration_with_another_image_cannot_be_compared():
    seen = shown((10, 10))
    with pytest.raises(Unusable, match="configuration was changed"):
        judge(seen, [{**seen.result[0], "to_name": "picture"}], made_from_it=True)


def test_a_changed_class_differs_from_a_removed_one():
    seen = shown((10, 10))
    point, choice = seen.result
    other = {**choice, "value": {"choices": ["bus"]}}
    assert judge(seen, [point, other], made_from_it=True).verdicts[0].verdict == "relabelled"
    assert judge(seen, [point], made_from_it=True).verdicts[0].verdict == "deleted"
    about_else = {**choice, "id": "q", "from_name": "quality", "value": {"choices": ["good"]}}
    judgement = judge(seen, [point, choice, about_else], made_from_it=True)
    assert judgement.verdicts[0].verdict == "accepted"
    assert judgement.unused == ("a choice about something else",)


def test_a_class_that_was_chosen_where_none_was_suggested_is_added():
    seen = shown((10, 10))
    point, choice = seen.result
    without_class = replace(seen, result=[point])
    judgement = judge(without_class, [point, choice], made_from_it=True, class_control="class")
    [first, _] = judgement.verdicts
    assert (first.kind, first.verdict, first.suggested_label) == ("choice", "added", None)
    assert first.final_label == choice["value"]["choices"][0]


def chosen(control: str, choice: str, region_id: str = "c", **place: float) -> dict[str, Any]:
    region = {"id": region_id, "from_name": control, "to_name": "image", "type": "choices"}
    return {**region, "value": {**place, "choices": [choice]}}


@pytest.mark.parametrize(
    ("choice", "control", "reason"),
    [
        (chosen("quality", "good"), "class", "a choice about something else"),
        (chosen("class", "bus", "box"), "class", "a choice about a single region"),
        (chosen("class", "bus", x=1, y=2), "class", "a choice about a single region"),
        (chosen("class", "bus"), None, UNKNOWN_CHOICE),
    ],
    ids=["another control", "on a rectangle", "with a position", "unknown configuration"],
)
def test_only_the_control_of_the_class_without_a_region_adds_a_class(choice, control, reason):
    seen = shown((10, 10))
    point, _ = seen.result
    without_class = replace(seen, result=[point])
    result = [point, rectangle(1, 1, 30, 30), choice]
    judgement = judge(without_class, result, made_from_it=True, class_control=control)
    assert [each.kind for each in judgement.verdicts] == ["point"]
    assert reason in judgement.unused


def test_a_choice_on_a_rectangle_does_not_answer_the_suggested_class():
    seen = shown((10, 10))
    point, choice = seen.result
    result = [point, rectangle(1, 1, 30, 30), chosen("class", "bus", "box")]
    assert judge(seen, result, made_from_it=True).verdicts[0].verdict == "deleted"
    assert judge(seen, [*result, choice], made_from_it=True).verdicts[0].verdict == "accepted"


def test_a_second_choice_of_the_class_is_counted_as_unused():
    seen = shown((10, 10))
    result = [*seen.result, chosen("class", "bus")]
    judgement = judge(seen, result, made_from_it=True, class_control="quality")
    assert judgement.verdicts[0].verdict == "accepted"
    assert judgement.unused == ("a further choice of the class",)


@given(
    st.lists(
        st.tuples(st.sampled_from(["class", "quality"]), st.sampled_from(["", "c", "box"])),
        max_size=6,
    ),
    st.booleans(),
)
def test_every_choice_is_a_verdict_or_is_unused(choices, suggests_class):
    seen = shown((10, 10))
    seen = seen if suggests_class else replace(seen, result=seen.result[:1])
    box = rectangle(1, 1, 30, 30)
    result = [seen.result[0], box, *[chosen(name, "bus", of) for name, of in choices]]
    judgement = judge(seen, result, made_from_it=True, class_control="class")
    verdicts = [each for each in judgement.verdicts if each.kind == "choice"]
    final = [each for each in verdicts if each.final_label is not None]
    answers = sum(name == "class" and of != "box" for name, of in choices)
    assert len(final) == min(answers, 1)
    assert len(verdicts) == max(len(final), suggests_class)
    assert len(judgement.unused) - 1 + len(final) == len(choices)  # 1 for the rectangle


def test_a_point_with_two_labels_keeps_the_first_and_counts_the_other():
    seen = shown((10, 10))
    point, choice = seen.result
    both = {**point, "value": {**point["value"], "keypointlabels": ["car", "nose"]}}
    judgement = judge(seen, [both, choice], made_from_it=True)
    assert points(judgement) == ["accepted"]
    assert judgement.verdicts[1].final_label == "car"
    assert judgement.unused == ("a further label of a point",)


def test_a_point_is_measured_by_its_parent_region_whatever_lies_round_it():
    seen = shown((50, 50))
    point, choice = seen.result
    small = rectangle(40, 40, 20, 20, id="small")
    large = rectangle(0, 0, 60, 70, id="large")
    result = [{**point, "parentID": "large"}, choice, small, large]
    verdict = judge(seen, result, made_from_it=True).verdicts[1]
    assert (verdict.length, verdict.object) == (70, 1)


def test_a_point_is_measured_by_the_smallest_object_round_it():
    seen = shown((10, 10), (50, 50), (90, 90))
    small = rectangle(40, 40, 20, 20, id="small")
    large = rectangle(0, 0, 60, 70, id="large")
    judgement = judge(seen, [*seen.result, large, small], made_from_it=True)
    measured = [(each.length, each.area, each.object) for each in judgement.verdicts[1:]]
    assert measured == [
        (70, pytest.approx(4200), 0),
        (20, pytest.approx(400), 1),
        (None, None, None),
    ]
    assert [each.label for each in judgement.objects] == ["bird", "bird"]


def test_the_tasks_own_box_is_the_object_where_no_rectangle_is_drawn():
    seen = shown((30, 30), box=Box(20, 20, 40, 20))
    [_, verdict] = judge(seen, seen.result, made_from_it=True).verdicts
    assert (verdict.length, verdict.area) == (40, 800)


def test_a_keypoint_with_its_labels_beside_it_is_one_point():
    plain = CONFIG.replace("KeyPointLabels", "Labels").replace(
        "</View>", '<KeyPoint name="p" toName="image"/></View>'
    )
    found = detection((10, 10))
    sent = to_prediction(
        found, keypoint_control(plain), key="a", model_version="v", default_label=None
    )
    seen = Shown(sent["result"], 100, 100, found.box)
    judgement = judge(seen, sent["result"], made_from_it=True)
    assert points(judgement) == ["accepted"]
    assert judgement.verdicts[-1].final_label == "car"


position = st.tuples(st.integers(2, 97), st.integers(2, 97))
act = st.sampled_from(["keep", "move", "relabel", "delete", "lose id"])


@given(
    st.lists(position, min_size=0, max_size=7, unique=True),
    st.lists(act, min_size=7, max_size=7),
    st.lists(position, max_size=4),
    st.sampled_from([1, 2, 8]),
)
def test_verdicts_add_up_and_do_not_depend_on_the_number_of_pixels(where, acts, new, scale):
    def judged(side: int) -> Judgement:
        seen = shown(*[(x * side / 100 - 0.5, y * side / 100 - 0.5) for x, y in where], side=side)
        result = []
        for region, each in zip(seen.result, acts, strict=False):
            if region["type"] == "choices" or each == "keep":
                result.append(region)
            elif each == "move":
                result.append(moved(region, 1, -1))
            elif each == "relabel":
                result.append(relabelled(region, "tail"))
            elif each == "lose id":
                result.append(without_id(region))
        result += [added(x, y, region_id=f"new{n}") for n, (x, y) in enumerate(new)]
        return judge(seen, result, made_from_it=True)

    judgement = judged(100)
    counts = {verdict: points(judgement).count(verdict) for verdict in VERDICTS}
    assert sum(counts.values()) - counts["added"] == len(where)
    left = [each for each in judgement.verdicts if each.final_x is not None]
    assert len(left) == sum(acts[n] != "delete" for n in range(len(where))) + len(new)
    larger = judged(100 * scale)
    for one, other in zip(judgement.verdicts, larger.verdicts, strict=True):
        assert (one.verdict, one.suggested_hit, one.final_hit) == (
            other.verdict,
            other.suggested_hit,
            other.final_hit,
        )
        if one.displacement is not None and other.displacement is not None:
            assert one.displacement * scale == pytest.approx(other.displacement, abs=1e-9)


def test_a_class_of_a_taxonomy_is_compared_by_its_path():
    def tree(*path: str) -> dict[str, Any]:
        region = {"id": "c", "from_name": "tree", "to_name": "image", "type": "taxonomy"}
        return {**region, "value": {"taxonomy": [list(path)]}}

    seen = shown()
    seen = replace(seen, result=[*seen.result[:-1], tree("bird", "duck")])
    for final, verdict in ((tree("bird", "duck"), "accepted"), (tree("bird"), "relabelled")):
        judgement = judge(seen, [*seen.result[:-1], final], made_from_it=True)
        [choice] = [each for each in judgement.verdicts if each.kind == "choice"]
        assert (choice.verdict, choice.suggested_label) == (verdict, "bird / duck")
