from backend.database.connection import Database, now
from backend.verdicts.records import Entry, Retraction
from backend.verdicts.storage import EventStorage, VerdictStorage


def test_events_come_back_whole_and_in_order(any_database: Database) -> None:
    body = {
        "action": "ANNOTATION_CREATED",
        "text": "é \u0000 \U0001f600 \ud83d",
        "n": [1, 2.5, None],
    }
    first = EventStorage(any_database).save_event("ANNOTATION_CREATED", 3, body)
    second = EventStorage(any_database).save_event("START_TRAINING", None, {})
    [one, other] = EventStorage(any_database).events()
    assert (one.id, one.action, one.project_id, one.body) == (first, "ANNOTATION_CREATED", 3, body)
    assert (other.id, other.project_id) == (second, None)
    assert [each.id for each in EventStorage(any_database).events(after=first)] == [second]
    assert [each.id for each in EventStorage(any_database).events(limit=1)] == [first]
    assert one.received_at <= now()


def test_an_event_that_another_process_has_handled_adds_nothing(any_database: Database) -> None:
    event_id = EventStorage(any_database).save_event("ANNOTATIONS_DELETED", 3, {})
    deleted = Retraction("3.1", annotation_id=5, task_id=None, at=now(), source="event")
    entry = Entry(event_id, retractions=[deleted])
    verdicts = VerdictStorage(any_database)
    assert verdicts.record([entry], now()) == (0, 1)
    assert verdicts.record([entry], now()) == (0, 0)
    assert EventStorage(any_database).unhandled() == []
