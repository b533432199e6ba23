"""Reconnecting to Redis; real outages are in test_workers_detection_worker."""

import logging
import signal
from collections.abc import Callable

import pytest
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from backend.queue import steady_worker
from backend.queue.interruption import Interrupted, JobFailed, interruptible, reset_interrupt
from backend.queue.steady_worker import (
    SteadyWorker,
    WorkerRefused,
    required_redis_url,
    work_until_stopped,
)
from backend.settings import Settings


class Outages:
    """Redis is lost after each of these times, s; then a signal asks to stop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *lifetimes: float) -> None:
        self.lifetimes, self.moment = list(lifetimes), 0.0
        self.pauses: list[float] = []
        monkeypatch.setattr(steady_worker, "_work_once", self.work)
        monkeypatch.setattr(steady_worker.time, "monotonic", lambda: self.moment)
        monkeypatch.setattr(steady_worker.time, "sleep", self.pauses.append)

    def work(self, *_: object) -> bool:
        if not self.lifetimes:
            return True
        self.moment += self.lifetimes.pop(0)
        return False


def run() -> None:
    work_until_stopped([], lambda worker: pytest.fail("never opened"))


def test_pauses_grow_while_redis_stays_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    outages = Outages(monkeypatch, *[0.0] * 7)
    run()
    assert outages.pauses == [0.5, 1, 2, 4, 8, 10, 10]


def test_pauses_start_over_after_a_connection_that_lasted(monkeypatch: pytest.MonkeyPatch) -> None:
    outages = Outages(monkeypatch, 0.0, 0.0, 11.0, 0.0)
    run()
    assert outages.pauses == [0.5, 1, 0.5, 1]


def test_a_signal_during_a_pause_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    outages = Outages(monkeypatch, 0.0, 0.0)

    def stop(_: float) -> None:
        raise StopRequested

    monkeypatch.setattr(steady_worker.time, "sleep", stop)
    run()
    assert outages.lifetimes == [0.0]


def test_a_worker_that_cannot_reach_redis_at_all_has_not_been_asked_to_stop() -> None:
    nowhere = Queue("predictions", connection=Redis.from_url("redis://127.0.0.1:1/0"))
    assert not steady_worker._work_once(nowhere, lambda worker: pytest.fail("never opened"))


def test_without_an_address_of_redis_the_error_says_what_to_set() -> None:
    assert required_redis_url(Settings(redis_url="redis://there")) == "redis://there"
    with pytest.raises(WorkerRefused, match="REDIS_URL"):
        required_redis_url(Settings())


def test_a_silent_worker_is_dead_after_half_a_minute_and_maintains_nothing(queue: Queue) -> None:
    worker = SteadyWorker(queue)
    assert worker.get_heartbeat_ttl(None) == 30
    assert not worker.should_run_maintenance_tasks
    assert not worker.stop_requested


def commands_for(queue: Queue, jobs: int) -> int:
    """How many commands a worker sends to Redis for so many jobs."""
    for _ in range(jobs):
        queue.enqueue("time.monotonic")
    worker = SteadyWorker(queue, Queue("another", connection=queue.connection))
    connection: Redis = queue.connection
    before = connection.info("stats")["total_commands_processed"]
    worker.work(burst=True)
    return int(connection.info("stats")["total_commands_processed"]) - before


def test_a_job_takes_few_commands(queue: Queue) -> None:
    """Each takes processor time that the job would have."""
    assert (commands_for(queue, 11) - commands_for(queue, 1)) / 10 < 43


def test_a_worker_waits_while_all_are_suspended(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.enqueue("time.monotonic")
    suspend(queue.connection)
    slept = []

    def sleep(seconds: float) -> None:
        slept.append((seconds, job.get_status()))
        resume(queue.connection)

    monkeypatch.setattr("rq.worker.base.time.sleep", sleep)
    SteadyWorker(queue).work(max_jobs=1)
    assert slept == [(1, "queued")]
    assert job.get_status() == "finished"


def lost(*_: object) -> None:
    raise RedisError("connection lost")


def test_a_heartbeat_that_does_not_arrive_does_not_end_the_job(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(steady_worker, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(SteadyWorker, "maintain_heartbeats", lost)
    job = queue.enqueue("time.sleep", 0.3)
    SteadyWorker(queue).work(burst=True)
    assert job.get_status() == "finished"
    assert "This worker's heartbeat did not reach Redis: connection lost" in caplog.messages


def fail_as_expected() -> None:
    raise JobFailed("the image is gone")


def fail_unexpectedly() -> None:
    raise ZeroDivisionError("a fault of the program")


@pytest.mark.parametrize(
    ("job", "level", "said", "traceback"),
    [
        (fail_as_expected, logging.WARNING, "the image is gone", False),
        (fail_unexpectedly, logging.ERROR, "a fault of the program", True),
    ],
)
def test_only_an_unexpected_failure_is_logged_with_its_traceback(
    job: Callable[[], None],
    level: int,
    said: str,
    traceback: bool,
    queue: Queue,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # RQ's logger keeps what an earlier worker in the process set: its level, and not to propagate.
    monkeypatch.setattr(logging.getLogger("rq.worker"), "propagate", True)
    queued = queue.enqueue(job)
    SteadyWorker(queue).work(burst=True, logging_level="INFO")
    assert queued.get_status() == "failed"
    [record] = [each for each in caplog.records if said in each.getMessage()]
    assert record.levelno == level
    assert ("Traceback" in caplog.text) == traceback


def test_a_signal_stops_the_work_although_redis_is_away(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(SimpleWorker, "request_stop", lost)
    worker = SteadyWorker(queue)
    try:
        with pytest.raises(Interrupted), interruptible():
            worker.request_stop(signal.SIGTERM, None)
    finally:
        reset_interrupt()
    assert worker.stop_requested
    assert "Cannot report to Redis that this worker is stopping: connection lost" in caplog.messages


def test_an_earlier_queue_is_emptied_before_a_job_of_a_later_one_is_taken(queue: Queue) -> None:
    first = Queue("learning", connection=queue.connection, serializer=JSONSerializer)
    queue.enqueue("time.sleep", 0, job_id="prediction")
    first.enqueue("time.sleep", 0, job_id="learning")
    worker = SteadyWorker(first, queue)
    job, _ = worker.dequeue_job_and_maintain_ttl(timeout=None)
    assert job.id == "learning"


def test_a_worker_reports_that_it_lives_once_where_nothing_came_between(queue: Queue) -> None:
    worker = SteadyWorker(queue)
    worker.register_birth()
    worker.heartbeat()
    queue.connection.expire(worker.key, 5)
    worker.heartbeat()
    assert queue.connection.ttl(worker.key) <= 5


def test_after_a_job_a_worker_counts_as_alive_for_as_long_as_it_may_be_idle(queue: Queue) -> None:
    worker = SteadyWorker(queue)
    worker.register_birth()
    worker.heartbeat()
    worker.heartbeat(steady_worker.SILENCE_SECONDS)
    worker.heartbeat()
    assert queue.connection.ttl(worker.key) > steady_worker.IDLE_SECONDS
