from itertools import permutations
from typing import Any

import pytest
from verdict_data import UID, VERSION, added, annotation, detection, event, predict

from backend.agreement.figures import measure_agreement
from backend.agreement.loading.queries import load_table
from backend.database.connection import Database, now
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Filters, Retraction, State
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


# A prediction that is deleted in Label Studio takes the parent from its annotations, and leaves
# their time as it is.


def facts(database: Database) -> dict[str, Any]:
    """What the report says, without the time when it was made."""
    found = measure_agreement(database, Filters()).as_json()
    return {name: found[name] for name in ("overall", "by", "events", "not_used")}


def redrawn(task: int, **more: Any) -> dict[str, Any]:
    """All three suggestions deleted, and three points drawn near them."""
    drawn = [added(10 + 20 * place, 13, region_id=f"hand{place}") for place in range(3)]
    return annotation(task, drawn, minutes=5, **more)


def test_a_parent_that_is_gone_changes_nothing(any_database: Database) -> None:
    predict(any_database, 1, detection((10, 10), (30, 10), (50, 10)), label_studio_id=7)
    recorder = Recorder(Settings(), any_database)
    event(any_database, redrawn(1))
    recorder.drain()
    before = facts(any_database)
    assert before["overall"]["points"]["deleted"] == before["overall"]["points"]["added"] == 3
    found = recorder.state_of(UID, redrawn(1, parent=None), "sync")
    assert isinstance(found, State)
    assert VerdictStorage(any_database).record([Entry(states=[found])], now()) == (0, 0)
    assert facts(any_database) == before


def test_a_later_state_without_the_parent_still_began_as_the_suggestion(
    any_database: Database,
) -> None:
    predict(any_database, 1, detection((10, 10), (30, 10), (50, 10)), label_studio_id=7)
    predict(any_database, 1, detection((90, 90)), version="later", label_studio_id=8)
    event(any_database, redrawn(1, parent=7))
    event(any_database, redrawn(1, parent=None, lead_time=20.0) | later(30))
    Recorder(Settings(), any_database).drain()
    annotations = load_table(any_database, Filters()).columns.annotations
    [newest] = [each for each in annotations if each.is_newest]
    assert (newest.group, newest.model_version, newest.lead_time) == ("shown", VERSION, 20.0)


def later(minutes: float) -> dict[str, str]:
    """The time of an annotation that was saved again."""
    return {"updated_at": annotation(1, [], minutes=minutes)["updated_at"]}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_any_order_of_events_with_and_without_the_parent_gives_the_same_figures(
    any_database: Database, order: tuple[int, ...]
) -> None:
    predict(any_database, 1, detection((10, 10), (30, 10), (50, 10)), label_studio_id=7)
    saved = [
        redrawn(1),
        redrawn(1, parent=None),
        redrawn(1, parent=None, lead_time=20.0) | later(30),
    ]
    recorder = Recorder(Settings(), any_database)
    for place in [*order, *order]:
        event(any_database, saved[place])
        recorder.drain()
    found = facts(any_database)
    assert found["overall"]["points"]["deleted"] == found["overall"]["points"]["added"] == 3
    assert found["overall"]["annotations"] == 1
    assert found["events"] == {"by_event": 2, "lost": 0, "recovered": 0}


def test_of_two_contents_with_the_same_time_the_one_recorded_last_counts(
    any_database: Database,
) -> None:
    regions = predict(any_database, 1, detection((10, 10)))
    recorder = Recorder(Settings(), any_database)
    for lead_time in (3.0, 30.0, 4.0, 30.0):  # the last one is known
        event(any_database, annotation(1, regions, minutes=5, lead_time=lead_time))
        recorder.drain()
    [state] = load_table(any_database, Filters()).columns.annotations
    assert state.lead_time == 4.0
