"""Skeletons are points for all other code: joined when they are sent, split when they are read."""

import json
from typing import Any

import pytest
from exporting import exported
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from verdict_data import MADE, PROJECT, UID, annotation, event, predict

from backend.database.connection import Database
from backend.labelstudio.label_config import LabelConfigError, keypoint_control
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.regions import to_prediction
from backend.labelstudio.skeletons import Skeleton, split
from backend.learning.tables import examples
from backend.settings import Settings
from backend.verdicts.drawn import Shown
from backend.verdicts.judging import judge
from backend.verdicts.lesson_storage import LessonStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry
from backend.verdicts.storage import EventStorage
from backend.verdicts.tables import verdicts
from model.keypoint import Box, Detection, Keypoint

LANDMARKS = "beak, head, back, tail, foot:back"
NAMES = ("beak", "head", "back", "tail", "foot")


def config(landmarks: str = LANDMARKS, attributes: str = 'skeleton="true"') -> str:
    return (
        '<View><Image name="image" value="$image"/><VectorLabels name="sk" toName="image" '
        f'{attributes} landmarks="{landmarks}"><Label value="bird"/><Label value="wren"/>'
        "</VectorLabels></View>"
    )


CONTROL = keypoint_control(config())
SKELETON = CONTROL.skeleton
assert SKELETON is not None


def sent(
    *points: Keypoint, parents: tuple[str | None, ...] = (), class_name: str = ""
) -> list[dict[str, Any]]:
    found = Detection(class_name, 0.5, points, 200, 100, Box(0, 0, 200, 100))
    made = to_prediction(
        found, CONTROL, key="k", model_version="v", default_label=None, parents=parents
    )
    return made["result"]


def points(*names: str) -> list[Keypoint]:
    return [Keypoint(10.0 * n, 5.0 * n, 0.9 - 0.1 * n, name) for n, name in enumerate(names)]


def test_the_landmarks_are_the_labels_and_hang_on_the_one_before_or_the_one_named() -> None:
    assert (CONTROL.from_name, CONTROL.to_name, CONTROL.labels) == ("sk", "image", NAMES)
    assert SKELETON.landmarks == (
        ("beak", None),
        ("head", "beak"),
        ("back", "head"),
        ("tail", "back"),
        ("foot", "back"),
    )
    assert SKELETON.labels == ("bird", "wren")


@pytest.mark.parametrize("landmarks", ["", "beak, beak", "beak, ,tail", "foot:back, back", "a:a"])
def test_landmarks_that_do_not_hang_together_are_refused_with_an_example(landmarks: str) -> None:
    with pytest.raises(LabelConfigError, match='landmarks="beak, head, tail, foot:head"'):
        keypoint_control(config(landmarks))


def test_vectors_that_are_no_skeletons_receive_nothing() -> None:
    with pytest.raises(LabelConfigError, match="expected a control for keypoints"):
        keypoint_control(config(attributes=""))


def test_a_control_for_keypoints_comes_before_one_for_skeletons() -> None:
    beside = '<KeyPointLabels name="kp" toName="image"><Label value="a"/></KeyPointLabels></View>'
    assert keypoint_control(config().replace("</View>", beside)).skeleton is None


def test_the_landmarks_of_an_object_are_the_vertices_of_one_region() -> None:
    [region] = sent(*points("tail", "beak", "back"), parents=("box", "box", "box"))
    assert (region["type"], region["from_name"], region["parentID"]) == (
        "vectorlabels",
        "sk",
        "box",
    )
    assert region["value"]["vectorlabels"] == ["bird"]
    assert not region["value"]["closed"]
    assert region["score"] == pytest.approx(0.8)
    assert region["value"]["vertices"] == [
        {"id": "beak", "x": 5.25, "y": 5.5, "isBezier": False, "score": 0.8},
        # The head is missing.
        {"id": "back", "x": 10.25, "y": 10.5, "isBezier": False, "prevPointId": "beak"}
        | {"score": pytest.approx(0.7)},
        {"id": "tail", "x": 0.25, "y": 0.5, "isBezier": False, "prevPointId": "back", "score": 0.9},
    ]


def test_without_a_common_root_a_vertex_hangs_on_the_one_before_it() -> None:
    [region] = sent(*points("tail", "foot"))
    assert [each.get("prevPointId") for each in region["value"]["vertices"]] == [None, "tail"]


def test_each_rectangle_has_a_skeleton_of_its_own() -> None:
    found = sent(*points("beak", "beak", "tail", "beak"), parents=("a", "b", "a", "a"))
    assert [(each["parentID"], len(each["value"]["vertices"])) for each in found] == [
        ("a", 2),
        ("b", 1),
    ]
    assert len({each["id"] for each in found}) == 2


def test_points_without_the_name_of_a_landmark_are_left_out() -> None:
    assert sent(Keypoint(1, 1, 0.9, ""), Keypoint(1, 1, 0.9, "bird")) == []


def test_the_class_is_the_label_of_the_object_where_it_is_one() -> None:
    [region] = sent(*points("beak"), class_name="Wren")
    assert region["value"]["vectorlabels"] == ["wren"]


def drawn(*ids: str) -> dict[str, Any]:
    """A region that an annotator left."""
    vertices = [{"id": each, "x": 10 * n, "y": 50} for n, each in enumerate(ids, 1)]
    value = {"vertices": vertices, "closed": False, "vectorlabels": ["bird"]}
    return {"id": "r", "from_name": "sk", "to_name": "image", "type": "vectorlabels"} | {
        "original_width": 200,
        "original_height": 100,
        "value": value,
    }


def labels(*ids: str) -> list[str]:
    return [
        "".join(each["value"]["keypointlabels"]) for each in split([drawn(*ids)], CONTROL.skeleton)
    ]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (("beak", "tail"), ["beak", "tail"]),
        (("a", "b", "c", "d", "e"), list(NAMES)),  # drawn in the order of the landmarks
        (("a", "b"), ["", ""]),  # which ones is unknown
        (("beak", "back", "tail", "foot", "new"), ["beak", "back", "tail", "foot", "head"]),
        (("beak", "new"), ["beak", ""]),
    ],
)
def test_a_new_vertex_has_a_name_where_only_one_is_possible(
    ids: tuple[str, ...], expected: list[str]
) -> None:
    assert labels(*ids) == expected


def test_each_vertex_gets_its_verdict() -> None:
    [region] = sent(*points(*NAMES))
    shown = Shown([region], 200, 100, Box(0, 0, 200, 100), skeleton=CONTROL.skeleton)
    first, second, third, fourth, _ = region["value"]["vertices"]
    moved = {**second, "x": second["x"] + 9}
    left = [first, moved, third, fourth, {"id": "V1StGXR8_Z5jdHi6B-myT", "x": 90, "y": 90}]
    result = [{**region, "value": {**region["value"], "vertices": left}}]
    found = judge(shown, result, made_from_it=True)
    assert [
        (each.verdict, each.suggested_label, each.final_label, each.score)
        for each in found.verdicts
    ] == [
        ("accepted", "beak", "beak", 0.9),
        ("moved", "head", "head", 0.8),
        ("accepted", "back", "back", pytest.approx(0.7)),
        ("accepted", "tail", "tail", pytest.approx(0.6)),
        ("deleted", "foot", None, 0.5),
        ("added", None, "foot", None),
    ]
    assert found.unused == ()


@pytest.mark.parametrize(
    "value", [None, {}, {"vertices": None}, {"vertices": [1, "a", {}]}, {"vertices": [{"id": 3}]}]
)
def test_malformed_skeletons_do_no_harm(value: Any) -> None:
    shown = Shown([], 200, 100, Box(0, 0, 200, 100), skeleton=CONTROL.skeleton)
    found = judge(shown, [{**drawn(), "value": value}], made_from_it=False)
    assert found.verdicts == ()
    assert found.unused or value == {"vertices": []}


@given(st.permutations(NAMES), st.integers(1, 5))
def test_what_is_sent_is_read_again_as_the_same_points(order: list[str], count: int) -> None:
    made = points(*order[:count])
    found = split(sent(*made), CONTROL.skeleton)
    read = {each["value"]["keypointlabels"][0]: each for each in found}
    assert read.keys() == {each.label for each in made}
    for each in made:
        value = read[each.label]["value"]
        assert (value["x"], value["y"]) == ((each.x + 0.5) / 2, each.y + 0.5)
        assert read[each.label]["score"] == each.score


@given(st.sets(st.sampled_from(NAMES), min_size=1))
def test_the_vertices_of_a_region_are_one_tree(present: set[str]) -> None:
    [region] = sent(*points(*sorted(present)))
    before: dict[str, Any] = {}
    for vertex in region["value"]["vertices"]:
        assert "prevPointId" in vertex or not before
        assert vertex.get("prevPointId") in (*before, None)
        before[vertex["id"]] = vertex


def test_an_empty_skeleton_has_a_label_for_objects() -> None:
    assert Skeleton((("a", None),), ("object",)).label("x", None) == "object"


def left(region: dict[str, Any], *vertices: dict[str, Any]) -> dict[str, Any]:
    """A skeleton as an annotator left it."""
    return {**region, "value": {**region["value"], "vertices": list(vertices)}}


def test_the_log_and_the_learning_have_each_vertex(any_database: Database) -> None:
    found = Detection("", 0.8, tuple(points(*NAMES)), 200, 100, Box(0, 0, 200, 100))
    [region] = predict(any_database, 1, found, config=config())
    first, second, *others = region["value"]["vertices"]
    moved = {**second, "x": second["x"] + 20}
    event(any_database, annotation(1, [left(region, first, moved, *others[1:])]))
    Recorder(Settings(), any_database).drain()
    LessonStorage(any_database, limit=200).pass_on()
    with any_database.reading() as connection:
        rows = connection.execute(select(verdicts).order_by(verdicts.c.number)).all()
        [example] = connection.execute(select(examples.c.points, examples.c.absent)).all()
    assert [(row.verdict, row.suggested_label) for row in rows] == [
        ("accepted", "beak"),
        ("moved", "head"),
        ("deleted", "back"),
        ("accepted", "tail"),
        ("accepted", "foot"),
    ]
    assert example.points.keys() == {"beak", "head", "tail", "foot"}
    assert example.absent == ["back"]


def test_a_skeleton_drawn_without_suggestions_is_learnt_by_the_order_of_its_vertices(
    any_database: Database,
) -> None:
    ProjectStorage(any_database).save_label_config(UID, config())
    body = annotation(1, [drawn("v1", "v2", "v3", "v4", "v5")])
    task = {"id": 1, "data": {"image": "/data/upload/1.png"}}
    stored = {"annotation": body, "task": task, "project": dict(PROJECT)}
    EventStorage(any_database).save_event("ANNOTATION_CREATED", 3, stored)
    Recorder(Settings(), any_database).drain()
    LessonStorage(any_database, limit=200).pass_on()
    with any_database.reading() as connection:
        [found] = connection.scalars(select(examples.c.points)).all()
    assert {name: round(x + 0.5) for name, (x, _) in found.items()} == {
        name: 20 * place for place, name in enumerate(NAMES, 1)
    }


def test_exports_have_the_points_of_a_skeleton(any_database: Database) -> None:
    found = Detection("", 0.8, tuple(points(*NAMES)), 200, 100, Box(0, 0, 200, 100))
    [region] = predict(any_database, 1, found, config=config())
    recorder = Recorder(Settings(), any_database)
    state = recorder.state_of(UID, annotation(1, [region]), "sync")
    recorder.verdicts.record([Entry(None, [state])], MADE)
    coco = json.loads(exported(any_database, "coco"))
    assert coco["categories"][0]["keypoints"] == list(NAMES)
    assert coco["annotations"][0]["num_keypoints"] == 5
    [again] = json.loads(exported(any_database, "label-studio"))
    [skeleton] = again["annotations"][0]["result"]
    assert (skeleton["id"], skeleton["type"]) == (region["id"], "vectorlabels")
    sent_vertices = [
        {name: value for name, value in each.items() if name != "score"}
        for each in region["value"]["vertices"]
    ]
    assert [each["id"] for each in skeleton["value"]["vertices"]] == list(NAMES)
    for vertex, original in zip(skeleton["value"]["vertices"], sent_vertices, strict=True):
        assert vertex == original | {"x": pytest.approx(original["x"])} | {
            "y": pytest.approx(original["y"])
        }
