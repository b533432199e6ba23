from datetime import timedelta
from typing import Any

from conftest import at_once
from learning_data import LIMIT
from migrating import downgrade
from sqlalchemy import func, select
from verdict_data import (
    MADE,
    UID,
    added,
    annotation,
    deletion,
    detection,
    event,
    moved,
    predict,
    relabelled,
)

from backend.database.connection import Database, now
from backend.learning.records import Example
from backend.learning.storage import ExampleStorage
from backend.learning.tables import examples
from backend.settings import Settings
from backend.verdicts.lesson_storage import LessonStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Retraction
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
    database: Database,
) -> None:
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
