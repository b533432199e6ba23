from datetime import timedelta
from typing import Any

import pytest
from conftest import at_once
from learning_data import LIMIT
from migrating import downgrade
from sqlalchemy import func, select
from verdict_data import (
    CONFIG,
    CONFIG_WITH_VISIBILITY,
    MADE,
    PROJECT,
    UID,
    added,
    annotation,
    deletion,
    detection,
    event,
    moved,
    predict,
    relabelled,
    said,
)
from waiting_rows import queued

from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.schemas import Task
from backend.labelstudio.shapes import read
from backend.learning.records import Example
from backend.learning.storage import ExampleStorage
from backend.learning.tables import examples
from backend.settings import Settings
from backend.verdicts import lesson_storage
from backend.verdicts.drawings import Drawing
from backend.verdicts.lesson_storage import LessonStorage
from backend.verdicts.lessons import FinalPoint
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Retraction, State
from backend.verdicts.storage import EventStorage, VerdictStorage
from backend.verdicts.tables import changed_annotations

OTHER = {"id": 4, "created_at": MADE.isoformat()}
OTHER_UID = f"4.{int(MADE.timestamp())}"


def rows(database: Database) -> list[Example]:
    storage = ExampleStorage(database, limit=LIMIT)
    with database.reading() as connection:
        ids = list(connection.scalars(select(examples.c.id).order_by(examples.c.id)))
    return [found for each in ids if (found := storage.example(each))]


def pass_on(database: Database) -> int:
    """Record every event, and pass on what changed."""
    Recorder(Settings(), database).drain()
    return LessonStorage(database, limit=LIMIT).pass_on()


def suggest(database: Database, *tasks: int, uid: str = UID) -> dict[int, list[dict[str, Any]]]:
    """Two suggested points a task, labelled by the class: `car`."""
    return {task: predict(database, task, detection((10, 10), (60, 60)), uid=uid) for task in tasks}


def named(regions: list[dict[str, Any]], dx: float = 0) -> list[dict[str, Any]]:
    """The two suggestions, corrected: `nose`, moved, and `tail`."""
    return [moved(relabelled(regions[0], "nose"), dx), relabelled(regions[1], "tail")]


def test_what_was_chosen_about_a_point_is_passed_on_until_it_is_taken_back(
    any_database: Database,
) -> None:
    [regions] = suggest(any_database, 1).values()
    ProjectStorage(any_database).save_label_config(UID, CONFIG_WITH_VISIBILITY)
    points = named(regions)
    event(any_database, annotation(1, [*points, said(points[1], "occluded")]))
    pass_on(any_database)
    assert [row.visibility for row in rows(any_database)] == [{"tail": "occluded"}]
    event(any_database, annotation(1, points, minutes=5), "ANNOTATION_UPDATED")
    pass_on(any_database)
    assert [row.visibility for row in rows(any_database)] == [{}]


def test_a_submitted_annotation_is_passed_on(any_database: Database) -> None:
    [regions] = suggest(any_database, 1).values()
    event(any_database, annotation(1, named(regions, dx=5)))
    assert pass_on(any_database) == 1
    [row] = rows(any_database)
    assert row.project_uid == UID
    assert {label: (round(x), round(y)) for label, (x, y) in row.points.items()} == {
        "nose": (15, 10),
        "tail": (60, 60),
    }
    assert list(row.absent) == ["car"]
    assert (row.image_url, row.width, row.height) == ("/data/upload/1.png", 100, 100)
    assert pass_on(any_database) == 0


def test_an_update_changes_the_example_whatever_the_order_of_the_events(
    any_database: Database,
) -> None:
    [regions] = suggest(any_database, 1).values()
    later = annotation(1, named(regions, dx=9), minutes=5)
    earlier = annotation(1, named(regions), minutes=1)
    for body in (later, earlier, later):
        event(any_database, body, "ANNOTATION_UPDATED")
        pass_on(any_database)
    [row] = rows(any_database)
    assert round(row.points["nose"][0]) == 19


def test_a_deleted_annotation_is_forgotten_and_one_found_again_is_learnt_again(
    any_database: Database,
) -> None:
    found = suggest(any_database, 1, 2)
    for task, regions in found.items():
        event(any_database, annotation(task, named(regions), made=-70))
    pass_on(any_database)
    deletion(any_database, 1)
    pass_on(any_database)
    assert [row.task_id for row in rows(any_database)] == [2]
    later = now() + timedelta(minutes=1)
    again = Retraction(UID, 1, None, later, "sync", deleted=False)
    VerdictStorage(any_database).record([Entry(retractions=[again])], later)
    pass_on(any_database)
    assert sorted(row.task_id for row in rows(any_database)) == [1, 2]


def test_deleted_tasks_are_forgotten(any_database: Database) -> None:
    found = suggest(any_database, 1, 2)
    for task, regions in found.items():
        event(any_database, annotation(task, named(regions), number=10 + task, made=-70))
    pass_on(any_database)
    body = {"action": "TASKS_DELETED", "tasks": [{"id": 1}]}
    project = {"id": 3, "created_at": MADE.isoformat()}
    EventStorage(any_database).save_event("TASKS_DELETED", 3, {**body, "project": project})
    pass_on(any_database)
    assert [row.annotation_id for row in rows(any_database)] == [12]


def test_an_annotation_that_is_skipped_afterwards_is_forgotten(database: Database) -> None:
    [regions] = suggest(database, 1).values()
    event(database, annotation(1, named(regions)))
    pass_on(database)
    event(database, annotation(1, [], minutes=3, was_cancelled=True), "ANNOTATION_UPDATED")
    pass_on(database)
    assert rows(database) == []


def test_annotators_who_contradict_each_other_are_both_learnt(database: Database) -> None:
    suggest(database, 1)
    event(database, annotation(1, [added(10, 10, "nose")], number=11, annotator=1))
    event(database, annotation(1, [added(90, 90, "nose")], number=12, annotator=2))
    pass_on(database)
    assert [round(row.points["nose"][0]) for row in rows(database)] == [10, 90]


def test_two_projects_with_the_same_ids_are_apart(database: Database) -> None:
    for uid, project in ((UID, None), (OTHER_UID, OTHER)):
        [regions] = suggest(database, 1, uid=uid).values()
        body = annotation(1, named(regions), made=-70)
        if project is None:
            event(database, body)
        else:
            action = "ANNOTATION_CREATED"
            EventStorage(database).save_event(
                action, 4, {"action": action, "annotation": body, "project": project}
            )
    pass_on(database)
    assert {row.project_uid for row in rows(database)} == {UID, OTHER_UID}
    deletion(database, 1)
    pass_on(database)
    assert [row.project_uid for row in rows(database)] == [OTHER_UID]


def test_workers_that_pass_on_at_once_lose_nothing(any_database: Database) -> None:
    found = suggest(any_database, *range(1, 9))
    for task, regions in found.items():
        event(any_database, annotation(task, named(regions)))
    Recorder(Settings(), any_database).drain()
    storage = LessonStorage(any_database, limit=LIMIT)
    assert sum(at_once(4, lambda _: storage.pass_on())) == 8
    assert [row.task_id for row in rows(any_database)] == list(range(1, 9))
    with any_database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(changed_annotations)) == 0


def test_a_whole_project_can_be_passed_on_again(database: Database) -> None:
    found = suggest(database, 1, 2)
    for task, regions in found.items():
        event(database, annotation(task, named(regions)))
    pass_on(database)
    before = rows(database)
    storage = LessonStorage(database, limit=LIMIT)
    assert storage.note_project(UID) == 2
    assert storage.pass_on() == 2
    assert rows(database) == before


def test_of_a_large_project_what_is_learnt_and_the_newest_are_passed_on_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson_storage, "CANDIDATES", 1)
    found = suggest(database, 1, 2, 3, 4)
    for task, regions in found.items():
        event(database, annotation(task, named(regions)))
        Recorder(Settings(), database).drain()
        if task == 1:
            LessonStorage(database, limit=LIMIT).pass_on()
    with database.writing() as connection:
        connection.execute(changed_annotations.delete())
    storage = LessonStorage(database, limit=2)
    assert storage.note_project(UID) == 3
    storage.pass_on()
    assert [row.task_id for row in rows(database)] == [1, 3, 4]


def test_an_upgrade_has_the_newest_annotations_learnt(any_database: Database) -> None:
    found = suggest(any_database, 1, 2)
    for task, regions in found.items():
        event(any_database, annotation(task, named(regions)))
    pass_on(any_database)
    downgrade(any_database, "0007")
    any_database.migrate()
    LessonStorage(any_database, limit=LIMIT).pass_on()
    assert sorted(row.task_id for row in rows(any_database)) == [1, 2]


TASK = {"id": 1, "data": {"image": "/data/upload/1.png"}}


def submit(database: Database, made: dict[str, Any], task: dict[str, Any] | None = None) -> None:
    """Store the event of an annotation, with its task, as Label Studio sends both."""
    action = "ANNOTATION_CREATED"
    body = {"action": action, "annotation": made, "project": PROJECT, "task": task or TASK}
    EventStorage(database).save_event(action, 3, body)


def test_an_annotation_of_a_task_that_was_never_predicted_is_learnt(any_database: Database) -> None:
    ProjectStorage(any_database).save_label_config(UID, CONFIG)
    submit(any_database, annotation(1, [added(10, 20, "nose", side=200)], parent=None))
    pass_on(any_database)
    [row] = rows(any_database)
    assert (row.status, row.width, row.class_name, row.image_url) == (
        "waiting",
        200,
        "",
        "/data/upload/1.png",
    )
    assert row.points == {"nose": (19.5, 39.5)} and row.drawn is not None
    assert sorted(row.absent) == ["car", "tail"]
    later = annotation(1, [added(50, 20, "nose", side=200)], parent=None, minutes=2)
    submit(any_database, later)
    pass_on(any_database)
    assert [row.points for row in rows(any_database)] == [{"nose": (99.5, 39.5)}]
    submit(any_database, annotation(1, [], parent=None, minutes=3, was_cancelled=True))
    pass_on(any_database)
    assert rows(any_database) == []


def test_a_deleted_annotation_without_a_prediction_is_forgotten(any_database: Database) -> None:
    ProjectStorage(any_database).save_label_config(UID, CONFIG)
    submit(any_database, annotation(1, [added(10, 20, "nose")], parent=None, made=-70))
    pass_on(any_database)
    deletion(any_database, 1)
    pass_on(any_database)
    assert rows(any_database) == []


def test_an_annotation_made_before_its_prediction_is_learnt_without_it(database: Database) -> None:
    regions = predict(database, 1, detection((10, 10)))
    early = annotation(1, [added(10, 20, "nose")], parent=None, made=-300)
    submit(database, early)
    pass_on(database)
    [row] = rows(database)
    assert row.drawn is not None
    # Later it is begun anew from the suggestion: what the prediction says comes first.
    again = [relabelled(regions[0], "nose")]
    submit(database, annotation(1, again, made=-300, minutes=400))
    pass_on(database)
    [row] = rows(database)
    assert (row.drawn, row.class_name, row.status) == (None, "car", "waiting")


def test_a_state_that_an_earlier_version_recorded_is_learnt_once_its_task_is_known(
    database: Database,
) -> None:
    ProjectStorage(database).save_label_config(UID, CONFIG)
    made = annotation(1, [added(10, 20, "nose")], parent=None)
    event(database, made)  # without its task
    pass_on(database)
    assert rows(database) == []
    recorder = Recorder(Settings(), database)
    task = read(Task, TASK)
    state = recorder.state_of(UID, made, "sync", {1: task})
    assert isinstance(state, State)
    assert recorder.verdicts.record([Entry(states=[state])], now()) == (0, 0)
    pass_on(database)
    assert len(rows(database)) == 1
    recorder.verdicts.record([Entry(states=[state])], now())
    assert LessonStorage(database, limit=LIMIT).pass_on() == 0


@pytest.mark.parametrize("label_config", ["", "<View/>"])
def test_without_a_usable_configuration_nothing_is_learnt_and_nothing_lost(
    database: Database, label_config: str
) -> None:
    ProjectStorage(database).save_label_config(UID, label_config)
    submit(database, annotation(1, [added(10, 20, "nose")], parent=None))
    pass_on(database)
    assert rows(database) == []
    assert EventStorage(database).unhandled() == []


def imported(number: int) -> State:
    """An imported annotation; every fortieth has a nose elsewhere than all others."""
    x = 90 - number / 40 if number % 40 == 0 else 5 + number % 3
    points = [FinalPoint("nose", x, 50.0, None), FinalPoint("tail", 5.0, 10.0, None)]
    drawing = Drawing(f"/data/upload/{number}.png", 100.0, 100.0, None, [], points)
    return State(
        UID, number, number, MADE, MADE, f"{number:064}", "sync", "unused", drawing=drawing
    )


def test_a_bulk_import_waits_for_no_more_features_than_are_kept(database: Database) -> None:
    """Two thousand annotations: images are fetched for sixty of them."""
    ProjectStorage(database).save_label_config(UID, CONFIG)
    limit, log = 60, VerdictStorage(database)
    log.record([Entry(states=[imported(number)]) for number in range(1, 2001)], now())
    storage = LessonStorage(database, limit=limit)
    assert storage.pass_on() == 2000
    examples = ExampleStorage(database, limit=limit)
    waiting = [examples.example(number) for number, _ in queued(examples)]
    tasks = {each.task_id for each in waiting if each}
    assert len(waiting) == limit
    assert 2000 in tasks  # the newest
    # Of the newest, which are compared with each other, those that differ from all others.
    assert set(range(1440, 2001, 40)) <= tasks
    found = examples.status(UID, "small-0")
    assert (found.waiting, found.reserve) == (limit, 2000 - limit)
    # A deletion makes room for another.
    gone = Retraction(UID, 2000, None, now() + timedelta(days=1), "sync")
    log.record([Entry(retractions=[gone])], now())
    storage.pass_on()
    left = [examples.example(number) for number, _ in queued(examples)]
    assert len(left) == limit
    assert 2000 not in {each.task_id for each in left if each}
