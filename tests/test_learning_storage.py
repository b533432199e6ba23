from dataclasses import replace
from datetime import timedelta

import pytest
from conftest import at_once
from learning_data import BASE, KEY, LIMIT, MADE, OTHER_UID, UID, extract, learn, lesson, teach
from sqlalchemy import event, select
from waiting_rows import queued

from backend.database.connection import Database
from backend.learning.records import Described, Example, LearningStatus
from backend.learning.step_storage import StepStorage
from backend.learning.storage import ExampleStorage, replace_lessons
from backend.learning.tables import examples
from model.keypoint import Box


def rows(database: Database) -> list[Example]:
    storage = ExampleStorage(database, limit=LIMIT)
    with database.reading() as connection:
        ids = list(connection.scalars(select(examples.c.id).order_by(examples.c.id)))
    return [found for each in ids if (found := storage.example(each))]


def features(database: Database) -> list[bytes | None]:
    with database.reading() as connection:
        return list(connection.scalars(select(examples.c.features).order_by(examples.c.id)))


def test_a_lesson_waits_until_its_features_are_extracted(any_database: Database) -> None:
    teach(any_database, 7, lesson(1, box=Box(1, 2, 30, 40)))
    [waiting] = rows(any_database)
    assert waiting.status == "waiting"
    assert waiting.points == {"nose": (11.0, 20.0)}
    assert waiting.box == Box(1, 2, 30, 40)
    assert waiting.digest == lesson(1, box=Box(1, 2, 30, 40)).digest
    extract(any_database)
    [ready] = rows(any_database)
    assert (ready.status, ready.key, ready.attempts) == ("ready", KEY, 1)
    assert features(any_database) == [b"features1"]


def test_teaching_the_same_again_changes_nothing(any_database: Database) -> None:
    teach(any_database, 7, lesson(1))
    extract(any_database)
    before = rows(any_database)
    teach(any_database, 7, lesson(1))
    assert rows(any_database) == before


def test_the_features_are_kept_if_only_the_points_changed(any_database: Database) -> None:
    teach(any_database, 7, lesson(1))
    extract(any_database)
    teach(any_database, 7, lesson(1, points={"nose": (3.0, 4.0)}))
    [row] = rows(any_database)
    assert (row.status, row.points) == ("ready", {"nose": (3.0, 4.0)})
    assert features(any_database) == [b"features1"]


@pytest.mark.parametrize("change", [{"box": Box(1, 1, 9, 9)}, {"image_url": "/another.png"}])
def test_another_part_or_image_needs_new_features(
    database: Database, change: dict[str, object]
) -> None:
    teach(database, 7, lesson(1))
    extract(database)
    teach(database, 7, lesson(1, **change))
    [row] = rows(database)
    assert (row.status, row.round, row.attempts) == ("waiting", 2, 0)
    assert features(database) == [None]


def test_a_label_that_was_configured_later_is_not_absent(database: Database) -> None:
    teach(database, 7, lesson(1, absent=("tail",)))
    teach(database, 7, lesson(1, absent=("tail", "new label")))
    [row] = rows(database)
    assert list(row.absent) == ["tail"]


def test_what_is_forgotten_is_gone_with_its_features(any_database: Database) -> None:
    teach(any_database, 7, lesson(1))
    teach(any_database, 8, lesson(2))
    extract(any_database)
    teach(any_database, 7)
    assert [row.annotation_id for row in rows(any_database)] == [8]
    assert features(any_database) == [b"features2"]


def test_several_objects_and_annotators_are_examples_of_their_own(database: Database) -> None:
    teach(database, 7, lesson(1, object=0), lesson(1, object=1))
    teach(database, 8, lesson(1, points={"nose": (60.0, 40.0)}))
    assert [(row.annotation_id, row.object) for row in rows(database)] == [(7, 0), (7, 1), (8, -1)]
    teach(database, 7, lesson(1, object=1))
    assert [(row.annotation_id, row.object) for row in rows(database)] == [(7, 1), (8, -1)]


def test_an_id_that_was_given_out_again_is_another_annotation(database: Database) -> None:
    teach(database, 7, lesson(1))
    with database.writing() as connection:
        current = {MADE + timedelta(hours=1): [lesson(2)]}
        replace_lessons(connection, UID, 7, current, limit=LIMIT)
    assert [row.task_id for row in rows(database)] == [2]


def test_features_of_an_example_that_changed_meanwhile_are_not_stored(database: Database) -> None:
    storage = ExampleStorage(database, limit=LIMIT)
    teach(database, 7, lesson(1))
    old = storage.start_attempt(1)
    assert old is not None
    teach(database, 7, lesson(1, box=Box(1, 1, 9, 9)))
    assert not storage.finish(old, KEY, Described(b"of the whole image"))
    teach(database, 7)
    assert not storage.finish(old, KEY, Described(b"of a forgotten image"))
    assert storage.start_attempt(1) is None


def test_a_failure_that_may_pass_is_tried_again_until_the_limit(database: Database) -> None:
    storage = ExampleStorage(database, limit=LIMIT)
    teach(database, 7, lesson(1))
    assert storage.record_failure(1, "busy", limit=1)
    assert queued(storage) == []  # it waits for some seconds first
    assert storage.example(1).status == "waiting"  # type: ignore[union-attr]
    assert not storage.record_failure(1, "busy", limit=1)
    [row] = rows(database)
    assert (row.status, row.reason) == ("failed", "busy")
    assert queued(storage) == []


def test_everything_can_be_extracted_again(database: Database) -> None:
    storage = ExampleStorage(database, limit=LIMIT)
    learn(database, 1, 2)
    teach(database, 3, lesson(3))
    storage.fail(3, "not an image")
    assert storage.extract_again(UID) == 3
    assert [row.status for row in rows(database)] == ["waiting"] * 3
    assert [row.reason for row in rows(database)] == [None] * 3


def test_the_status_counts_images_and_names_the_reasons(database: Database) -> None:
    storage = ExampleStorage(database, limit=LIMIT)
    learn(database, 1, 2, 3)
    teach(database, 13, lesson(3))  # another annotation of an image that is learnt
    extract(database)
    teach(database, 4, lesson(4))
    teach(database, 5, lesson(5))
    storage.fail(6, "expected an image, got a web page")
    assert storage.status(UID, BASE) == LearningStatus(
        UID,
        learnt=3,
        waiting=1,
        failed=1,
        failures={"expected an image, got a web page": 1},
        in_use=3,
        version=StepStorage(database, limit=LIMIT).version(UID, BASE),
    )
    nothing = LearningStatus(OTHER_UID, failures={}, version=BASE)
    assert storage.status(OTHER_UID, BASE) == nothing


def test_workers_that_finish_at_once_miss_no_step(any_database: Database) -> None:
    storage = ExampleStorage(any_database, limit=LIMIT)
    for task in range(1, 9):
        teach(any_database, task, lesson(task))
    StepStorage(any_database, limit=LIMIT).adopt(UID, BASE, KEY)
    waiting = [storage.start_attempt(number) for number, _ in queued(storage)]

    def finish(place: int) -> bool:
        example = waiting[place]
        assert example is not None
        return storage.finish(replace(example), KEY, Described(b"features"))

    assert at_once(8, finish) == [True] * 8
    step = StepStorage(any_database, limit=LIMIT).current(UID, BASE)
    assert step is not None
    assert step.images == 8


def waiting(database: Database, limit: int = LIMIT) -> set[int]:
    """The tasks whose examples wait for their features."""
    storage = ExampleStorage(database, limit=limit)
    rows = [storage.example(number) for number, _ in queued(storage)]
    return {row.task_id for row in rows if row}


def test_beyond_the_limit_what_is_submitted_is_still_looked_at(any_database: Database) -> None:
    storage = ExampleStorage(any_database, limit=3)
    learn(any_database, 1, 2, 3, limit=3)
    for task in range(4, 10):
        teach(any_database, task, lesson(task), limit=3)
    assert waiting(any_database) == set()
    storage.select(UID)
    assert waiting(any_database) == {7, 8, 9}  # the newest, as many as are looked at each time
    extract(any_database, limit=3)
    storage.select(UID)
    assert waiting(any_database) == set()
    assert storage.status(UID, BASE).reserve == 3


def test_what_is_looked_at_differs_most_from_what_is_learnt(database: Database) -> None:
    storage = ExampleStorage(database, limit=5)
    learn(database, 1, 2, 3, limit=5)
    for task, x in ((4, 60.0), (5, 12.0), (6, 30.0), (7, 13.0)):
        teach(database, task, lesson(task, points={"nose": (x, 20.0)}), limit=5)
    assert waiting(database) == {4, 5}
    storage.select(UID)
    assert waiting(database) == {4, 7}  # the newest, and the one that is farthest from all
    assert storage.status(UID, BASE).reserve == 2


def test_another_backbone_looks_at_no_more_examples_than_are_kept(database: Database) -> None:
    learn(database, *range(1, 9), limit=4)
    for task in range(9, 20):
        teach(database, task, lesson(task), limit=4)
    StepStorage(database, limit=4).adopt(UID, "large-another", "backbone-b")
    assert len(waiting(database)) == 4
    assert 19 in waiting(database)
    ExampleStorage(database, limit=4).extract_again(UID)
    assert len(waiting(database)) == 4


def test_the_status_of_all_projects_takes_as_many_queries_as_that_of_one(
    any_database: Database,
) -> None:
    learn(any_database, 1, 2, 3)
    learn(any_database, 1, 2, uid=OTHER_UID)
    learn(any_database, 1, uid="9.1795347724")
    teach(any_database, 3, lesson(3), uid=OTHER_UID)
    storage, asked = ExampleStorage(any_database, limit=LIMIT), list[str]()

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    event.listen(any_database.engine, "before_cursor_execute", note)
    bases = dict.fromkeys((UID, OTHER_UID, "5.1795347724"), BASE)
    found = storage.statuses(bases)
    assert len(asked) == 3
    assert found.keys() == bases.keys()
    assert (found[UID].learnt, found[UID].in_use) == (3, 3)
    assert found[UID].version == StepStorage(any_database, limit=LIMIT).version(UID, BASE)
    assert (found[OTHER_UID].learnt, found[OTHER_UID].waiting) == (2, 1)
    assert (found[OTHER_UID].in_use, found[OTHER_UID].version) == (0, BASE)
    assert found["5.1795347724"] == LearningStatus("5.1795347724", failures={}, version=BASE)
    for uid, status in found.items():
        assert storage.status(uid, BASE) == status


def test_a_job_that_completes_a_drawing_does_not_overwrite_what_is_known_since(
    database: Database,
) -> None:
    storage = ExampleStorage(database, limit=LIMIT)
    teach(database, 1, lesson(1, class_name="", drawn="digest"))
    begun = storage.start_attempt(1)
    assert begun is not None
    teach(database, 1, lesson(1, points={"nose": (3.0, 4.0)}))  # a prediction was compared with
    assert not storage.finish(begun, KEY, Described(b"features"))
    [row] = rows(database)
    assert (row.status, row.points, row.drawn) == ("waiting", {"nose": (3.0, 4.0)}, None)
