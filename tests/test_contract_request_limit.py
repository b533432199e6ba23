"""Requests of projects are limited by a real Redis that several processes share, or without it."""

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from conftest import at_once
from fault_run import OwnRedis
from label_studio_fake import CONFIG
from redis import Redis
from serving import Serving, eventually, serving

from backend import retries
from backend.contract.request_limit import PREFIX, RequestLimit
from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.retries import Backoff
from backend.settings import Settings

PROJECTS = ("3.1795347724", "4.1795347724")


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    """A Redis that a test may stop."""
    redis = OwnRedis()
    redis.start()
    yield redis
    redis.kill()


@pytest.fixture
def limit(own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> RequestLimit:
    """A limit of three that asks a lost Redis again at once, and whose client waits for ever."""
    monkeypatch.setattr(retries, "REQUEST_LIMIT", Backoff(first=0.0))
    return RequestLimit(Redis.from_url(own_redis.url), 3)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_all_processes_share_the_requests_of_each_project(redis_connection: Redis) -> None:
    first, second = (RequestLimit(redis_connection, 3) for _ in range(2))
    assert [first.admits("3"), second.admits("3"), first.admits("3")] == [True] * 3
    assert [second.admits("3"), first.admits("3")] == [False] * 2
    assert first.admits("4"), "of another project"


@pytest.mark.parametrize("most", [7, 250, 1000])
def test_at_the_same_moment_no_request_too_many_is_admitted(
    redis_connection: Redis, most: int
) -> None:
    processes = [RequestLimit(redis_connection, most) for _ in range(2)]

    def ask(thread: int) -> int:
        return sum(processes[thread % 2].admits("3") for _ in range(200))

    admitted = sum(at_once(8, ask))
    # What is left of a block is admitted by its process alone.
    rest = sum(each.admits("3") for each in processes for _ in range(most))
    assert admitted + rest == most


def test_hardly_any_request_waits_for_redis(redis_connection: Redis) -> None:
    limit = RequestLimit(redis_connection, 1000)
    redis_connection.config_resetstat()
    assert all(limit.admits("3") for _ in range(1000))
    assert not any(limit.admits("3") for _ in range(1000))
    # The last block was a whole one, so that Redis was asked once more.
    assert redis_connection.info("commandstats")["cmdstat_eval"]["calls"] == 101


def test_a_minute_begins_with_its_first_request_and_leaves_nothing(redis_connection: Redis) -> None:
    name = f"{PREFIX}3"
    assert RequestLimit(redis_connection, 2).admits("3")
    assert 50 < redis_connection.ttl(name) <= 60
    redis_connection.pexpire(name, 1000)
    limit = RequestLimit(redis_connection, 2)
    assert [limit.admits("3"), limit.admits("3")] == [True, False]
    assert redis_connection.pttl(name) <= 1000, "not begun anew"
    assert eventually(lambda: limit.admits("3"))
    assert 50 < redis_connection.ttl(name) <= 60


def test_without_redis_a_process_counts_by_itself_and_says_so_once(
    own_redis: OwnRedis, limit: RequestLimit, caplog: pytest.LogCaptureFixture
) -> None:
    assert limit.admits("3")
    own_redis.kill()
    # A minute of this process may begin between two of them.
    assert 3 <= sum(limit.admits("3") for _ in range(10)) <= 6
    assert len(warnings(caplog)) == 1
    assert "each web process counts by itself" in warnings(caplog)[0]
    own_redis.start()
    with caplog.at_level(logging.INFO):
        assert [limit.admits("3") for _ in range(4)] == [True] * 3 + [False]
    assert "are counted together" in caplog.records[-1].getMessage()


def test_a_redis_that_hangs_is_waited_for_once(
    own_redis: OwnRedis,
    limit: RequestLimit,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert limit.admits("3")
    monkeypatch.setattr(retries, "REQUEST_LIMIT", Backoff(first=3600.0))
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    assert limit.admits("3")
    own_redis.process.send_signal(signal.SIGCONT)
    with Redis.from_url(own_redis.url) as connection:
        assert eventually(lambda: connection.get(f"{PREFIX}3") == b"2"), "what was sent arrives"
        assert limit.admits("3")
        assert connection.get(f"{PREFIX}3") == b"2", "nobody asks before the pause has ended"
    assert len(warnings(caplog)) == 1


def test_nobody_waits_for_a_thread_that_waits_for_redis(
    own_redis: OwnRedis, limit: RequestLimit
) -> None:
    asking = limit._asking
    with asking:  # as a thread does that looks for the address of Redis, without a time-out
        assert limit.admits("3")
    assert RequestLimit(Redis.from_url(own_redis.url), 1).admits("3"), "Redis was not asked"


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
        database = Database(variables["DATABASE_URL"])
        for uid in PROJECTS:
            ProjectStorage(database).save_label_config(uid, CONFIG)
        database.close()
        yield [first, second]


def test_two_web_processes_take_as_many_requests_together_as_the_setting_says(
    own_redis: OwnRedis, two_processes: list[Serving]
) -> None:
    def send(process: Serving, project_id: int) -> int:
        event = {"action": "ANNOTATION_CREATED", "project": {"id": project_id}}
        return requests.post(f"{process.url}/webhook", json=event, timeout=60).status_code

    assert [send(each, 3) for each in two_processes * 4] == [200] * 6 + [429] * 2
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    assert [send(each, 4) for each in two_processes * 4] == [200] * 8, "each by itself"
    for each in two_processes:
        assert each.words().count("each web process counts by itself") == 1


def test_two_web_processes_count_setups_of_a_project_together(
    two_processes: list[Serving],
) -> None:
    def set_up(process: Serving) -> int:
        body = {"project": PROJECTS[0], "schema": CONFIG}
        return requests.post(f"{process.url}/setup", json=body, timeout=60).status_code

    assert [set_up(each) for each in two_processes * 4] == [200] * 6 + [429] * 2
