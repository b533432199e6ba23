import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from exporting import exported
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_pairs import PAIR, SIDES, as_sent, config_of, made, pair_task, predict_pair
from learning_data import LIMIT
from sqlalchemy import select
from verdict_data import PROJECT, UID, annotation, detection, event, moved, predict

from backend.agreement.figures import measure_agreement
from backend.agreement.loading.queries import load_table
from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.schemas import Task
from backend.labelstudio.shapes import read
from backend.learning.storage import ExampleStorage
from backend.learning.tables import examples
from backend.settings import Settings
from backend.suggestions.holdout import HoldoutStorage
from backend.suggestions.tables import predictions
from backend.verdicts.comparing import UNUSABLE_IMAGE
from backend.verdicts.judging import Verdict
from backend.verdicts.lesson_storage import LessonStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Filters, State
from backend.verdicts.storage import EventStorage, VerdictStorage
from backend.verdicts.tables import states, verdicts
from model.keypoint import Detection

LEFT = detection((10, 10), (30, 20), width=100, height=50)
RIGHT = detection((5, 70), width=60, height=80, class_name="bus")
Regions = list[dict[str, Any]]
NUMBERS = itertools.count(1000)


@pytest.fixture
def regions(any_database: Database) -> Regions:
    """What is suggested on the two images of a task: two points, and one."""
    return predict_pair(any_database, 1, LEFT, RIGHT)


def on(regions: Regions, side: str, kind: str = "keypointlabels") -> Regions:
    return [each for each in regions if each["to_name"] == side and each["type"] == kind]


def named(region: dict[str, Any], label: str, dx: float = 0) -> dict[str, Any]:
    value = region["value"]
    return {**region, "value": {**value, "x": value["x"] + dx, "keypointlabels": [label]}}


def judged(database: Database, result: Regions, **more: Any) -> State:
    found = Recorder(Settings(), database).state_of(UID, annotation(1, result, **more), "sync")
    assert isinstance(found, State)
    return found


def points(state: State) -> list[Verdict]:
    return [each for each in state.verdicts if each.kind == "point"]


def test_each_image_is_judged_in_its_own_size(any_database: Database, regions: Regions) -> None:
    left, right = on(regions, "left"), on(regions, "right")
    state = judged(any_database, [moved(left[0], 10), moved(right[0], 10)])
    [other] = state.further
    assert [(each.image_number, each.width, each.height) for each in (state, other)] == [
        (0, 100, 50),
        (1, 60, 80),
    ]
    assert [(each.verdict, each.displacement) for each in points(state)] == [
        ("moved", pytest.approx(10)),
        ("deleted", None),
    ]
    assert [(each.verdict, each.displacement) for each in points(other)] == [
        ("moved", pytest.approx(6))
    ]
    assert [each.outcome for each in (state, other)] == ["judged", "judged"]
    assert [each.class_name for each in (state, other)] == ["car", "bus"]
    assert state.digest != other.digest


def test_the_class_of_each_image_is_judged_apart(any_database: Database, regions: Regions) -> None:
    chosen = on(regions, "right", "choices")[0] | {"value": {"choices": ["car"]}}
    state = judged(any_database, [*on(regions, "left", "choices"), chosen])
    classes = [each for image in (state, *state.further) for each in image.verdicts]
    found = [(each.suggested_label, each.final_label) for each in classes if each.kind == "choice"]
    assert found == [("car", "car"), ("bus", "car")]


def test_nothing_drawn_on_one_image_deletes_only_its_suggestions(
    any_database: Database, regions: Regions
) -> None:
    state = judged(any_database, on(regions, "right"))
    assert [each.verdict for each in points(state)] == ["deleted", "deleted"]
    assert [each.verdict for each in points(state.further[0])] == ["accepted"]
    assert not state.unused and not state.further[0].unused


def test_regions_on_neither_image_are_unused_once(any_database: Database, regions: Regions) -> None:
    other = {**regions[0], "id": "other", "to_name": "third"}
    relation = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
    state = judged(any_database, [*regions, other, relation])
    assert sorted(state.unused) == ["a region on another image", "a relation between regions"]
    assert not state.further[0].unused


def test_points_on_other_images_alone_are_not_compared(
    any_database: Database, regions: Regions
) -> None:
    state = judged(any_database, [{**regions[0], "to_name": "third"}])
    assert (state.outcome, state.further) == ("unused", ())
    assert "every point is on another image" in (state.reason or "")


def test_a_skipped_annotation_is_one_state(any_database: Database, regions: Regions) -> None:
    state = judged(any_database, [], was_cancelled=True)
    assert (state.outcome, state.further) == ("skipped", ())


@pytest.mark.parametrize("number", [0, 1])
def test_an_image_that_could_not_be_used_is_not_judged(any_database: Database, number: int) -> None:
    found = [LEFT, RIGHT]
    found[number] = None  # type: ignore[call-overload]
    regions = predict_pair(any_database, 1, *found)
    state = judged(any_database, regions)
    both = [state, *state.further]
    assert (both[number].outcome, both[number].reason) == ("unused", UNUSABLE_IMAGE)
    assert both[1 - number].outcome == "judged"
    event(any_database, annotation(1, regions))
    Recorder(Settings(), any_database).drain()
    assert len(load_table(any_database, Filters()).columns.annotations) == 1


def test_withheld_suggestions_are_compared_on_both_images(database: Database) -> None:
    row = made(database, 1, [LEFT, RIGHT])
    HoldoutStorage(database).withhold(UID, [1], now())
    assert row.detection is not None
    state = Recorder(Settings(suggest="always"), database).state_of(
        UID, annotation(1, [], parent=None), "sync"
    )
    assert isinstance(state, State) and state.shown is False
    assert [len(points(each)) for each in (state, *state.further)] == [2, 1]


def record(database: Database, *bodies: dict[str, Any]) -> None:
    for body in bodies:
        event(database, body)
    Recorder(Settings(), database).drain()


def rows(database: Database) -> list[Any]:
    with database.reading() as connection:
        return list(connection.execute(select(states).order_by(states.c.id)))


def test_an_event_and_a_pull_of_the_same_annotation_are_the_same_states(
    any_database: Database, regions: Regions
) -> None:
    body = annotation(1, regions)
    record(any_database, body)
    assert [row.image_number for row in rows(any_database)] == [0, 1]
    state = Recorder(Settings(), any_database).state_of(UID, body, "sync")
    assert isinstance(state, State)
    assert VerdictStorage(any_database).record([Entry(states=[state])], now()) == (0, 0)
    assert len(rows(any_database)) == 2
    with any_database.reading() as connection:
        assert len(list(connection.execute(select(verdicts)))) == 5  # three points, two classes


def test_a_pull_counts_an_annotation_once(any_database: Database, regions: Regions) -> None:
    state = judged(any_database, regions)
    assert VerdictStorage(any_database).record([Entry(states=[state])], now()) == (1, 0)


def test_the_report_counts_each_image_in_its_own_size(
    any_database: Database, regions: Regions
) -> None:
    left, right = on(regions, "left"), on(regions, "right")
    record(any_database, annotation(1, [moved(left[0], 10), left[1], moved(right[0], 10)]))
    columns = load_table(any_database, Filters()).columns
    found = [
        (each.image_number, each.image_url, each.longer_side, each.lead_time)
        for each in columns.annotations
    ]
    assert found == [(0, "/data/left/1.png", 100, None), (1, "/data/right/1.png", 80, None)]
    assert columns.images == 2
    moves = columns.displacement / columns.image_length
    assert sorted(moves.tolist()) == pytest.approx([0, 6 / 80, 10 / 100])
    edges = columns.boxes(columns.annotation * 0)
    assert edges.shape == (3, 4)
    overall = measure_agreement(any_database, Filters()).as_json()["overall"]
    assert (overall["annotations"], overall["images"], overall["tasks"]) == (2, 2, 1)


def test_a_later_save_replaces_the_states_of_all_images(
    any_database: Database, regions: Regions
) -> None:
    record(
        any_database,
        annotation(1, regions),
        annotation(1, on(regions, "right"), minutes=5),
    )
    newest = load_table(any_database, Filters()).columns.annotations
    assert sorted((each.image_number, each.is_first, each.is_newest) for each in newest) == [
        (0, False, True),
        (0, True, False),
        (1, False, True),
        (1, True, False),
    ]
    record(any_database, annotation(1, [], minutes=9, was_cancelled=True))
    assert not load_table(any_database, Filters()).columns.annotations


def test_annotators_are_compared_on_the_same_image_alone(any_database: Database) -> None:
    made(any_database, 1, [LEFT, RIGHT])
    HoldoutStorage(any_database).withhold(UID, [1], now())
    regions = predict_pair(any_database, 2, LEFT, RIGHT)
    own = [{**each, "id": f"own{place}"} for place, each in enumerate(regions)]
    bodies = [annotation(1, own, number=number, annotator=number, parent=None) for number in (1, 2)]
    record(any_database, *bodies)
    table = load_table(any_database, Filters())
    assert [[each.image_number for each in of] for of in table.compared_tasks] == [[0, 0], [1, 1]]


def test_model_versions_are_compared_image_by_image(any_database: Database) -> None:
    """Each version's points on the second image meet the annotator's points there."""
    regions = predict_pair(any_database, 1, LEFT, RIGHT)
    ProjectStorage(any_database).save_label_config(UID, PAIR)
    record(any_database, annotation(1, regions))
    with any_database.writing() as connection:
        connection.execute(states.update().values(shown=False))
    made(any_database, 1, [RIGHT, LEFT], right="/other.png")
    with any_database.writing() as connection:
        connection.execute(
            predictions.update().where(predictions.c.id == 2).values(model_version="small-later")
        )
    found = measure_agreement(any_database, Filters()).as_json()["model_versions"]
    [pair] = found
    assert pair["neither"]["first_f1"]["value"] == 1
    assert pair["neither"]["tasks"] == 2


def exported_json(database: Database, name: str, **more: Any) -> Any:
    return json.loads(exported(database, name, **more))


def test_coco_has_an_entry_for_each_image(any_database: Database, regions: Regions) -> None:
    record(any_database, annotation(1, regions))
    file = exported_json(any_database, "coco")
    found = [(each["file_name"], each["width"], each["height"]) for each in file["images"]]
    assert found == [("data/left/1.png", 100, 50), ("data/right/1.png", 60, 80)]
    assert len({each["id"] for each in file["images"]}) == 2
    ids = [each["id"] for each in file["images"]]
    boxes = {each["image_id"]: each["bbox"] for each in file["annotations"]}
    assert boxes == {ids[0]: [0, 0, 100, 50], ids[1]: [0, 0, 60, 80]}
    labels = file["categories"][0]["keypoints"]
    assert labels == ["car", "nose", "left tail", "right tail"]


def test_label_studio_gets_one_task_with_both_images(
    any_database: Database, regions: Regions
) -> None:
    record(any_database, annotation(1, regions))
    for filters in (Filters(), Filters(label="car")):
        [task] = exported_json(any_database, "label-studio", filters=filters)
        assert task["data"] == pair_task(1)["data"]
        [one] = task["annotations"]
        kept = [each for each in one["result"] if each["type"] == "keypointlabels"]
        assert [each["to_name"] for each in kept] == ["left", "left", "right"]
        assert [each["from_name"] for each in kept] == ["points-left"] * 2 + ["points-right"]
        assert [each["original_width"] for each in kept] == [100, 100, 60]
        assert len(task["predictions"]) == 1


def test_formats_of_files_name_each_image_apart(any_database: Database, regions: Regions) -> None:
    record(any_database, annotation(1, regions))
    lines = exported(any_database, "deeplabcut").decode().splitlines()
    frames = [line.split(",")[0] for line in lines if line.startswith("labeled-data")]
    assert len(set(frames)) == len(frames) == 2


def test_what_was_never_compared_is_exported_image_by_image(any_database: Database) -> None:
    ProjectStorage(any_database).save_label_config(UID, PAIR)
    row = made(any_database, 2, [LEFT, RIGHT])
    regions = as_sent(any_database, row)["result"]
    EventStorage(any_database).save_event(
        "ANNOTATION_CREATED",
        3,
        {
            "action": "ANNOTATION_CREATED",
            "annotation": annotation(1, regions, parent=None),
            "task": pair_task(1),
            "project": dict(PROJECT),
        },
    )
    Recorder(Settings(), any_database).drain()
    file = exported_json(any_database, "coco")
    found = [(each["file_name"], each["width"], each["height"]) for each in file["images"]]
    assert found == [("data/left/1.png", 100, 50), ("data/right/1.png", 60, 80)]
    xs = [each["keypoints"][0] for each in file["annotations"]]
    assert xs == pytest.approx([10.5, 30.5, 5.5])


def test_what_is_drawn_on_one_image_alone_is_exported_with_none_of_the_others(
    any_database: Database,
) -> None:
    regions = on(as_sent(any_database, made(any_database, 2, [LEFT, RIGHT]))["result"], "right")
    EventStorage(any_database).save_event(
        "ANNOTATION_CREATED",
        3,
        {"annotation": annotation(1, regions, parent=None), "project": dict(PROJECT)}
        | {"action": "ANNOTATION_CREATED", "task": pair_task(1)},
    )
    Recorder(Settings(), any_database).drain()
    file = exported_json(any_database, "coco")
    found = [(each["file_name"], each["width"], each["height"]) for each in file["images"]]
    assert found == [("data/right/1.png", 60, 80)]


def learnt(database: Database) -> list[Any]:
    LessonStorage(database, limit=LIMIT).pass_on()
    storage = ExampleStorage(database, limit=LIMIT)
    with database.reading() as connection:
        ids = list(connection.scalars(select(examples.c.id).order_by(examples.c.id)))
    return [storage.example(each) for each in ids]


def test_each_image_teaches_an_example_of_its_own(any_database: Database, regions: Regions) -> None:
    left, right = on(regions, "left"), on(regions, "right")
    result = [named(left[0], "nose"), named(left[1], "left tail"), named(right[0], "nose", 10)]
    record(any_database, annotation(1, result))
    found = {each.image_url: each for each in learnt(any_database)}
    assert list(found) == ["/data/left/1.png", "/data/right/1.png"]
    first, second = found.values()
    assert (first.width, first.height, second.width, second.height) == (100, 50, 60, 80)
    assert first.points == {"left tail": (30, 20), "nose": (10, 10)}
    assert second.points["nose"] == pytest.approx((11, 70))
    assert (first.absent, second.absent) == (["car"], ["car", "right tail"])
    assert not first.has_rectangle and not second.has_rectangle
    record(any_database, annotation(1, on(result, "left"), minutes=5))
    assert [each.image_url for each in learnt(any_database)] == ["/data/left/1.png"]


def test_what_is_drawn_before_any_prediction_teaches_both_images(any_database: Database) -> None:
    regions = predict_pair(any_database, 2, LEFT, RIGHT)
    left, right = on(regions, "left"), on(regions, "right")
    result = [named(left[0], "nose"), named(right[0], "right tail")]
    task = read(Task, pair_task(1))
    state = Recorder(Settings(), any_database).state_of(
        UID, annotation(1, result, parent=None), "sync", {1: task}
    )
    assert isinstance(state, State)
    VerdictStorage(any_database).record([Entry(states=[state])], now())
    first, second = learnt(any_database)
    assert (first.image_url, dict(first.points)) == ("/data/left/1.png", {"nose": (10, 10)})
    assert (second.image_url, list(second.points)) == ("/data/right/1.png", ["right tail"])
    assert (list(first.absent), list(second.absent)) == (["car", "left tail"], ["car", "nose"])


def test_tasks_with_one_image_keep_states_without_a_number(any_database: Database) -> None:
    record(any_database, annotation(7, predict(any_database, 7, detection((10, 10)))))
    [row] = rows(any_database)
    assert row.image_number is None
    [each] = load_table(any_database, Filters()).columns.annotations
    assert (each.image_number, each.lead_time, each.image) == (None, 10.0, (UID, 7, 0))


def verdicts_after(
    database: Database, found: list[Detection], config: str, changes: list[float | None]
) -> list[list[Verdict]]:
    """The verdicts of each image after each suggestion was moved, or deleted: None."""
    number = next(NUMBERS)
    regions = predict_pair(database, number, *found, config=config)
    shown = [each for each in regions if each["type"] == "keypointlabels"]
    result = [moved(each, dx) for each, dx in zip(shown, changes, strict=True) if dx is not None]
    state = Recorder(Settings(), database).state_of(UID, annotation(number, result), "sync")
    assert isinstance(state, State)
    of_images = [points(each) for each in (state, *state.further)]
    return [[replace(each, region_id=None) for each in of_image] for of_image in of_images]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.none() | st.floats(-20, 20), min_size=3, max_size=3))
def test_each_image_is_judged_as_the_only_one_of_a_task(
    database: Database, changes: list[float | None]
) -> None:
    both = verdicts_after(database, [LEFT, RIGHT], PAIR, changes)
    left = verdicts_after(database, [LEFT], config_of("left"), changes[:2])
    right = verdicts_after(database, [RIGHT], config_of("right"), changes[2:])
    assert both == [*left, *right]


def test_swapping_the_images_swaps_the_verdicts_alone(any_database: Database) -> None:
    found: list[list[Verdict]] = []
    for order in (SIDES, SIDES[::-1]):
        detections = dict(zip(SIDES, (LEFT, RIGHT), strict=True))
        regions = predict_pair(
            any_database,
            1 + len(found),
            *(detections[side] for side in order),
            config=config_of(*order),
        )
        left, right = on(regions, "left"), on(regions, "right")
        body = annotation(1 + len(found), [moved(left[0], 3), moved(right[0], 4)])
        state = Recorder(Settings(), any_database).state_of(UID, body, "sync")
        assert isinstance(state, State)
        both = [points(each) for each in (state, *state.further)]
        ordered = both if order == SIDES else both[::-1]
        found.append([replace(each, region_id=None) for of in ordered for each in of])
    assert found[0] == found[1]
