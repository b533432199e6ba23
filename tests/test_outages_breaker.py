"""The breaker that all processes share, on both databases."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from conftest import at_once

from backend import retries
from backend.database.connection import Database
from backend.outages import breaker as breaker_module
from backend.outages import storage
from backend.outages.breaker import PROBE_SECONDS, NoBreaker, ServiceAway, SharedBreaker
from backend.outages.storage import OutageStorage

SERVICE = "API of http://studio"


class Clock:
    """The time of the database's statements."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(storage, "now", clock)
    monkeypatch.setattr(retries, "jittered", lambda pause: pause)
    return clock


def fail(breaker: SharedBreaker, *, certain: bool = False, after: float | None = None) -> bool:
    return breaker.failed(SERVICE, "status 503", certain=certain, retry_after=after)


def may_send(breaker: SharedBreaker) -> bool:
    try:
        breaker.check(SERVICE)
    except ServiceAway:
        return False
    return True


def test_single_failures_do_not_make_a_service_away(any_database: Database, clock: Clock) -> None:
    breaker = SharedBreaker(any_database)
    assert [fail(breaker), fail(breaker)] == [False, False]
    breaker.succeeded(SERVICE)
    assert [fail(breaker), fail(breaker), may_send(breaker)] == [False, False, True]
    assert fail(breaker)
    assert not may_send(breaker)


def test_a_sound_service_is_looked_up_once_a_second(
    any_database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 100.0
    monkeypatch.setattr(breaker_module.time, "monotonic", lambda: moment)
    breaker, of_another_process = SharedBreaker(any_database), SharedBreaker(any_database)
    assert may_send(breaker)
    fail(of_another_process, certain=True)
    moment += 0.9
    assert may_send(breaker), "not known yet"
    moment += 0.2
    assert not may_send(breaker)


def test_an_own_failure_is_known_at_once(any_database: Database, clock: Clock) -> None:
    breaker = SharedBreaker(any_database)
    assert may_send(breaker)
    fail(breaker, certain=True)
    assert not may_send(breaker)


def test_without_any_connection_it_is_away_at_once(any_database: Database, clock: Clock) -> None:
    breaker = SharedBreaker(any_database)
    assert fail(breaker, certain=True)
    with pytest.raises(ServiceAway, match="waiting for the API of http://studio: status 503"):
        breaker.check(SERVICE)
    breaker.check("API of http://another")


def test_one_of_many_processes_may_probe_when_it_is_time(
    any_database: Database, clock: Clock
) -> None:
    fail(SharedBreaker(any_database), certain=True)
    clock.pass_by(retries.PROBE.first + 0.1)
    sent = at_once(8, lambda _: may_send(SharedBreaker(any_database)))
    assert sum(sent) == 1


def test_a_probe_whose_process_dies_is_followed_by_another(
    any_database: Database, clock: Clock
) -> None:
    breaker = SharedBreaker(any_database)
    fail(breaker, certain=True)
    clock.pass_by(retries.PROBE.longest)
    assert may_send(breaker)
    assert not may_send(breaker)
    clock.pass_by(PROBE_SECONDS + 0.1)
    assert may_send(breaker)


def test_pauses_between_probes_grow_up_to_a_limit(any_database: Database, clock: Clock) -> None:
    breaker, pauses = SharedBreaker(any_database), []
    for _ in range(6):
        fail(breaker, certain=True)
        [outage] = OutageStorage(any_database).away()
        pauses.append((outage.probe_at - clock()).total_seconds())
        clock.moment = outage.probe_at
    assert pauses == [2, 4, 8, 10, 10, 10]


def test_a_service_that_says_when_to_come_back_is_left_alone_until_then(
    any_database: Database, clock: Clock
) -> None:
    breaker = SharedBreaker(any_database)
    assert fail(breaker, after=120.0)
    clock.pass_by(119)
    assert not may_send(breaker)
    clock.pass_by(2)
    assert may_send(breaker)
    fail(breaker, after=1e9)
    clock.pass_by(retries.LONGEST_PAUSE + 1)
    assert may_send(breaker), "nobody waits for ever"


def test_a_clock_that_is_set_back_a_day_does_not_stop_the_probes(
    any_database: Database, clock: Clock
) -> None:
    breaker = SharedBreaker(any_database)
    fail(breaker, certain=True)
    clock.pass_by(-24 * 3600)
    assert may_send(breaker)


def test_one_success_ends_the_outage_for_all(
    any_database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    breaker, other = SharedBreaker(any_database), SharedBreaker(any_database)
    fail(breaker, certain=True)
    other.succeeded(SERVICE)
    other.succeeded(SERVICE)
    assert may_send(breaker)
    assert OutageStorage(any_database).away() == []
    assert caplog.messages == [
        "The API of http://studio is away; its work waits: status 503",
        "The API of http://studio is back",
    ]


def test_many_failures_at_once_are_all_counted(any_database: Database) -> None:
    at_once(8, lambda _: fail(SharedBreaker(any_database)))
    [outage] = OutageStorage(any_database).away()
    assert outage.failures == 8


def test_commands_that_report_send_whatever_they_want() -> None:
    breaker = NoBreaker()
    assert not breaker.failed(SERVICE, "away", certain=True, retry_after=None)
    breaker.check(SERVICE)
    breaker.succeeded(SERVICE)
