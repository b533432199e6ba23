"""A database with something in every part that a deployment fills, for tests of its upkeep."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from learning_data import KEY
from sqlalchemy import select
from verdict_data import UID, VERSION, added, annotation, detection, event, moved, predict
from waiting_rows import queued

from backend.agreement.figures import measure_agreement
from backend.database.connection import Database, now
from backend.learning.records import Described
from backend.learning.step_storage import StepStorage
from backend.learning.storage import ExampleStorage
from backend.settings import Settings
from backend.suggestions.tables import interactive_answers
from backend.upkeep.queries import every_table
from backend.verdicts.lesson_storage import LessonStorage
from backend.verdicts.pull_storage import PullStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters, SyncRun
from backend.verdicts.set_aside_storage import SetAsideStorage

LIMIT = 50
ANNA, BERT = 71234501, 71234502  # numbers that stand nowhere else


def fill(
    database: Database,
    *,
    uid: str = UID,
    tasks: int = 6,
    people: Sequence[int] = (ANNA, BERT),
) -> None:
    """Predictions, annotations of two people, what was learnt of them, and what went wrong."""
    for task in range(1, tasks + 1):
        regions = predict(database, task, detection((10, 10), (30, 10), (50, 10)), uid=uid)
        for person in people:
            place = person - ANNA
            result = [moved(regions[0], 3 + place), regions[1], added(80, 80, "nose")]
            raw = annotation(task, result, number=10 * task + place, annotator=person, minutes=5)
            event(database, raw | {"updated_by": BERT})
    event(database, {"id": 7, "completed_by": people[0], "nonsense": True}, "SOMETHING_ELSE")
    aside = event(database, {"id": 8, "completed_by": people[0]})
    SetAsideStorage(database).set_aside(aside, "a test")
    record(database)
    values: dict[str, Any] = {"project_uid": uid, "task_id": 1, "image_url": "/a.png"}
    with database.writing() as connection:
        connection.execute(
            interactive_answers.insert().values(
                **values, request={"points": []}, status="ready", asked_at=now()
            )
        )
    PullStorage(database).add_sync_run(SyncRun(uid, now(), 3, 0, 0, None))


def record(database: Database) -> None:
    """Record and learn what has come in, as the workers do."""
    Recorder(Settings(), database).drain()
    learn(database)


def learn(database: Database) -> None:
    """Pass on what changed, and extract the features that are missing."""
    LessonStorage(database, limit=LIMIT).pass_on()
    StepStorage(database, limit=LIMIT).adopt(UID, VERSION, KEY)
    storage = ExampleStorage(database, limit=LIMIT)
    for example_id, _ in queued(storage):
        example = storage.start_attempt(example_id)
        if example is not None:
            storage.finish(example, KEY, Described(b"features of " + str(example.id).encode()))


def contents(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, by its name."""
    with database.reading() as connection:
        return {
            table.name: [
                dict(row)
                for row in connection.execute(
                    select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for table in every_table()
        }


def figures(database: Database) -> dict[str, Any]:
    """Every figure of the report."""
    found = measure_agreement(database, Filters()).as_json()
    del found["made_at"]
    return dict(found)


def long_after() -> timedelta:
    """How far the annotations of `verdict_data` lie in the future, and more."""
    return timedelta(days=2)
