"""Events that come at once are stored together, and one that cannot be spoils no other."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import wait_until

from backend.database.connection import Database
from backend.verdicts.grouped_events import GroupedEvents
from backend.verdicts.records import Event
from backend.verdicts.storage import EventStorage, NewEvent


def test_every_event_is_stored_before_its_thread_goes_on(any_database: Database) -> None:
    events = GroupedEvents(any_database)

    def send(number: int) -> int:
        events.save_event("ANNOTATION_CREATED", number, {"annotation": {"id": number}})
        return sum(each.body["annotation"]["id"] == number for each in stored(any_database))

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(send, range(100))) == [1] * 100


def stored(database: Database) -> list[Event]:
    return EventStorage(database).events(limit=1000)


def test_what_comes_while_another_one_is_stored_is_stored_in_one_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, goes_on = [], threading.Event()
    save = EventStorage.save_events

    def slow(self: EventStorage, new: list[NewEvent]) -> None:
        sizes.append(len(new))
        assert goes_on.wait(30)
        save(self, new)

    monkeypatch.setattr(EventStorage, "save_events", slow)
    events = GroupedEvents(database)
    with ThreadPoolExecutor(10) as pool:
        sent = [pool.submit(events.save_event, "PROJECT_UPDATED", 1, {})]
        wait_until(lambda: sizes == [1])
        sent += [pool.submit(events.save_event, "PROJECT_UPDATED", 2, {}) for _ in range(9)]
        wait_until(lambda: len(events._pending) == 9)
        goes_on.set()
        for each in sent:
            each.result(30)
    assert sizes == [1, 9]
    assert len(stored(database)) == 10


def test_an_event_that_cannot_be_stored_fails_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = EventStorage.save_events

    def refuse(self: EventStorage, new: list[NewEvent]) -> None:
        if any(each.action == "odd" for each in new):
            raise ValueError("odd")
        save(self, new)

    monkeypatch.setattr(EventStorage, "save_events", refuse)
    events = GroupedEvents(database)
    with ThreadPoolExecutor(10) as pool, events._writing:
        sent = [
            pool.submit(events.save_event, "odd" if number == 4 else "fine", 1, {})
            for number in range(10)
        ]
        wait_until(lambda: len(events._pending) == 10)
    failed = [number for number, each in enumerate(sent) if each.exception(30) is not None]
    assert failed == [4]
    assert len(stored(database)) == 9
