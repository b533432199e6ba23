"""Requests of projects are counted in a real Redis that several processes share, or without it."""

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from conftest import at_once
from fault_run import OwnRedis
from label_studio_fake import UID
from redis import Redis
from serving import Serving, eventually, serving

from backend import retries
from backend.contract.request_counts import PREFIX, RequestCounts
from backend.retries import Backoff
from backend.settings import Settings

EVENT = {"action": "ANNOTATION_CREATED", "project": {"id": 3}}


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    """A Redis that a test may stop."""
    redis = OwnRedis()
    redis.start()
    yield redis
    redis.kill()


@pytest.fixture
def counts(own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> RequestCounts:
    """Counts that ask a lost Redis again at once, given a client that would wait for ever."""
    monkeypatch.setattr(retries, "REQUEST_COUNTS", Backoff(first=0.0))
    return RequestCounts(Redis.from_url(own_redis.url))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_requests_of_all_processes_count_together_and_those_of_each_project_apart(
    redis_connection: Redis,
) -> None:
    first, second = RequestCounts(redis_connection), RequestCounts(redis_connection)
    assert [first.add("3"), second.add("3"), second.add("4"), first.add("3")] == [1, 2, 1, 3]


def test_no_two_requests_get_the_same_number(redis_connection: Redis) -> None:
    processes = [RequestCounts(redis_connection) for _ in range(2)]

    def add_some(thread: int) -> list[int]:
        return [processes[thread % 2].add("3") for _ in range(50)]

    found = [number for numbers in at_once(8, add_some) for number in numbers]
    assert sorted(found) == list(range(1, 401))


def test_a_minute_begins_with_its_first_request_and_leaves_nothing(redis_connection: Redis) -> None:
    counts = RequestCounts(redis_connection)
    counts.add("3")
    redis_connection.expire(f"{PREFIX}3", 40)
    assert counts.add("3") == 2
    assert 30 < redis_connection.ttl(f"{PREFIX}3") <= 40, "not begun anew"
    redis_connection.pexpire(f"{PREFIX}3", 1)
    assert eventually(lambda: not redis_connection.exists(f"{PREFIX}3"))
    assert counts.add("3") == 1
    assert 50 < redis_connection.ttl(f"{PREFIX}3") <= 60


def test_without_redis_a_process_counts_by_itself_and_says_so_once(
    own_redis: OwnRedis, counts: RequestCounts, caplog: pytest.LogCaptureFixture
) -> None:
    assert [counts.add("3") for _ in range(5)] == [1, 2, 3, 4, 5]
    own_redis.kill()
    alone = [counts.add("3") for _ in range(3)]
    # A minute of this process may begin between two of them.
    assert alone[0] == 1
    assert alone in ([1, 2, 3], [1, 1, 2], [1, 2, 1])
    assert len(warnings(caplog)) == 1
    assert "each web process counts by itself" in warnings(caplog)[0]
    own_redis.start()
    with caplog.at_level(logging.INFO):
        assert [counts.add("3"), counts.add("3")] == [1, 2]
    assert "counted together again" in caplog.records[-1].getMessage()


def test_a_redis_that_hangs_is_waited_for_once(
    own_redis: OwnRedis,
    counts: RequestCounts,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts.add("3")
    monkeypatch.setattr(retries, "REQUEST_COUNTS", Backoff(first=3600.0))
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    counts.add("3")
    own_redis.process.send_signal(signal.SIGCONT)
    with Redis.from_url(own_redis.url) as connection:
        assert eventually(lambda: connection.get(f"{PREFIX}3") == b"2"), "what was sent arrives"
        counts.add("3")
        assert connection.get(f"{PREFIX}3") == b"2", "nobody asks before the pause has ended"
    assert len(warnings(caplog)) == 1


@pytest.fixture
def two_processes(
    own_redis: OwnRedis, unread_weights: Path, tmp_path: Path
) -> Iterator[list[Serving]]:
    """Two web processes with one Redis and one database, which take six requests a minute."""
    variables = {
        "REDIS_URL": own_redis.url,
        "DATABASE_URL": Settings(data_dir=tmp_path).database,
        "MODEL_WEIGHTS": str(unread_weights),
        "MAX_REQUESTS_PER_MINUTE": "6",
    }
    with (
        serving(tmp_path / "first", variables, verb="web") as first,
        serving(tmp_path / "second", variables, verb="web") as second,
    ):
        for each in (first, second):
            assert eventually(each.health), each.words()
        yield [first, second]


def test_two_web_processes_take_as_many_requests_together_as_the_setting_says(
    own_redis: OwnRedis, two_processes: list[Serving]
) -> None:
    def send(process: Serving) -> int:
        return requests.post(f"{process.url}/webhook", json=EVENT, timeout=60).status_code

    assert [send(each) for each in two_processes * 4] == [200] * 6 + [429] * 2
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    assert [send(each) for each in two_processes * 3] == [200] * 6, "each by itself"
    for each in two_processes:
        assert each.words().count("each web process counts by itself") == 1


def test_two_web_processes_count_setups_of_a_project_together(
    two_processes: list[Serving],
) -> None:
    def set_up(process: Serving) -> int:
        body = {"project": UID, "schema": "<View/>"}
        return requests.post(f"{process.url}/setup", json=body, timeout=60).status_code

    # The first is one of an unknown project; these are counted apart.
    assert [set_up(each) for each in two_processes * 4] == [200] * 7 + [429]
