from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from verdict_data import annotation, deletion, event

from backend.database.connection import Database, now
from backend.settings import Settings
from backend.verdicts.queries import current_states
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Filters, Retraction
from backend.verdicts.storage import EventStorage, VerdictStorage

LONG_AGO = {"created_at": "2026-01-01T00:00:00Z"}


def record(database: Database, made: dict[str, Any], project: dict[str, Any]) -> None:
    body = {"action": "ANNOTATION_CREATED", "annotation": made, "project": project}
    EventStorage(database).save_event("ANNOTATION_CREATED", project["id"], body)
    Recorder(Settings(), database).drain()


def current(database: Database, **filters: Any) -> list[tuple[str, int]]:
    """(project, annotation) of the states that count."""
    found = current_states(Filters(**filters), ("unused", "skipped"))
    query = select(found.c.project_uid, found.c.annotation_id).order_by(found.c.id)
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(query)]


@pytest.mark.parametrize(
    ("project", "uids"),
    [
        (None, ["3.100", "31.100", "3.200"]),
        ("3", ["3.100", "3.200"]),
        ("3.100", ["3.100"]),
        ("31", ["31.100"]),
        ("%", []),
        ("3_", []),
        ("3.1", []),
    ],
)
def test_a_project_is_named_by_its_id_or_by_its_uid(
    any_database: Database, project: str | None, uids: list[str]
) -> None:
    for project_id, seconds in ((3, 100), (31, 100), (3, 200)):
        created = f"1970-01-01T00:0{seconds // 60}:{seconds % 60}Z"
        record(any_database, annotation(1, []), {"id": project_id, "created_at": created})
    assert [uid for uid, _ in current(any_database, project=project)] == uids


def test_the_newest_state_of_an_annotation_counts_whatever_came_last(
    any_database: Database,
) -> None:
    for minutes, annotator in ((5, 2), (0, 1)):
        event(any_database, annotation(1, [], minutes=minutes, annotator=annotator))
    Recorder(Settings(), any_database).drain()
    assert len(current(any_database, annotator=2)) == 1
    assert current(any_database, annotator=1) == []
    assert len(current(any_database)) == 1


def test_a_deletion_concerns_annotations_made_before_it_alone(any_database: Database) -> None:
    event(any_database, annotation(1, [], number=7, **LONG_AGO))
    deletion(any_database, 7)
    Recorder(Settings(), any_database).drain()
    assert current(any_database) == []
    event(any_database, annotation(2, [], number=7))  # made in an hour, with the same id
    Recorder(Settings(), any_database).drain()
    assert [number for _, number in current(any_database)] == [7]


def test_a_repeated_event_adds_no_state(any_database: Database) -> None:
    made = annotation(1, [])
    for _ in range(3):
        event(any_database, made)
    assert Recorder(Settings(), any_database).drain() == 3
    found = current_states(Filters(), ("unused",))
    with any_database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(found)) == 1


def test_an_annotation_that_is_found_again_brings_back_no_other(any_database: Database) -> None:
    for number in (1, 2):
        record(
            any_database,
            {"id": number, "task": number} | LONG_AGO,
            {"id": 3, "created_at": "1970-01-01T00:01:40Z"},
        )
    gone = now()
    retractions = [Retraction("3.100", number, None, gone, "sync") for number in (1, 2)]
    again = Retraction("3.100", 2, None, gone + timedelta(seconds=9), "sync", deleted=False)
    log = VerdictStorage(any_database)
    log.record([Entry(retractions=retractions)], gone)
    assert current(any_database) == []
    log.record([Entry(retractions=[again])], gone)
    assert current(any_database) == [("3.100", 2)]
