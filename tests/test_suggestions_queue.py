import json
import zlib
from datetime import UTC, datetime

import pytest
from label_studio_fake import CONFIG, UID
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Retry, SimpleWorker
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from backend.database.connection import Database
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import ProjectStorage
from backend.queue.row_jobs import RowJobs
from backend.settings import Settings
from backend.suggestions.queue import JOB, NAME, enqueue_again, job_id, make_queue
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from model.keypoint import Box, Detection

SETTINGS = Settings(job_timeout=123, job_retries=2)
NOTHING = Detection("bus", 0.5, (), 10, 10, Box(0, 0, 10, 10))


def ask(database: Database, *tasks: int) -> list[Prediction]:
    ProjectStorage(database).save_label_config(UID, CONFIG)
    control = keypoint_control(CONFIG)
    wanted = [wanted_of({"id": task, "data": {"image": "/a.png"}}, control) for task in tasks]
    before = datetime(2020, 1, 1, tzinfo=UTC)
    return PredictionStorage(database).request(
        UID, "v", [one for one in wanted if one], retry_failed_before=before
    )


def enqueue(queue: Queue, settings: Settings, prediction_id: int, round_: int) -> None:
    """Queue one prediction, which may not exist."""
    RowJobs(NAME, JOB, prefix="predict").enqueue(queue, settings, prediction_id, round_)


def job_of(queue: Queue, prediction: int, round_: int = 1) -> Job:
    job = queue.fetch_job(job_id(prediction, round_))
    assert job is not None
    return job


def test_a_job_holds_the_id_alone_in_json_and_says_all_its_times(queue: Queue) -> None:
    enqueue(queue, SETTINGS, 7, 1)
    [name] = queue.get_job_ids()
    raw = queue.connection.hget(f"rq:job:{name}", "data")
    assert json.loads(zlib.decompress(raw)) == [JOB, None, [7], {}]
    job = job_of(queue, 7)
    assert (job.timeout, job.result_ttl, job.failure_ttl) == (123, 600, 604_800)
    assert job.retries_left is None  # the database says when it is tried again


def test_a_prediction_that_is_queued_is_not_queued_again(queue: Queue) -> None:
    for _ in range(3):
        enqueue(queue, SETTINGS, 7, 1)
    assert queue.count == 1


def test_what_redis_forgot_is_queued_again(database: Database, queue: Queue) -> None:
    rows = ask(database, 1, 2, 3)
    for row in rows:
        enqueue(queue, SETTINGS, row.id, row.round)
    queue.connection.flushall()
    assert enqueue_again(queue, SETTINGS, database) == 3
    assert queue.count == 3
    assert enqueue_again(queue, SETTINGS, database) == 0
    assert queue.count == 3


def test_what_needs_no_worker_is_not_queued_again(database: Database, queue: Queue) -> None:
    ready, failed, waiting = ask(database, 1, 2, 3)
    PredictionStorage(database).finish(ready.id, NOTHING)
    PredictionStorage(database).fail(failed.id, "not an image")
    assert enqueue_again(queue, SETTINGS, database) == 1
    assert queue.get_job_ids() == [job_id(waiting.id, 1)]


@pytest.mark.parametrize("status", ["failed", "finished", "canceled", "stopped"])
def test_a_job_that_ended_without_a_result_is_followed_by_another(
    database: Database, queue: Queue, status: str
) -> None:
    [row] = ask(database, 1)
    enqueue(queue, SETTINGS, row.id, 1)
    job_of(queue, row.id).set_status(JobStatus(status))
    assert enqueue_again(queue, SETTINGS, database) == 1
    assert job_of(queue, row.id, 2).get_status() == "queued"
    assert enqueue_again(queue, SETTINGS, database) == 0


@pytest.mark.parametrize("status", ["queued", "started", "scheduled"])
def test_a_job_that_is_still_to_come_is_left_alone(
    database: Database, queue: Queue, status: str
) -> None:
    [row] = ask(database, 1)
    enqueue(queue, SETTINGS, row.id, 1)
    job_of(queue, row.id).set_status(JobStatus(status))
    assert enqueue_again(queue, SETTINGS, database) == 0
    assert queue.count == 1


OLD_JOB = "backend.jobs.predict"


def enqueue_old(queue: Queue, prediction: int) -> None:
    """Queue a prediction as an older version of the program did."""
    queue.enqueue(
        OLD_JOB,
        prediction,
        job_id=job_id(prediction, 1),
        unique=True,
        retry=Retry(max=2, interval=[5, 15]),
    )


def burst(queue: Queue) -> None:
    """Let a worker try all that is queued."""
    worker = SimpleWorker([queue], connection=queue.connection, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="CRITICAL")


@pytest.mark.parametrize("status", ["queued", "scheduled"])
def test_a_waiting_job_of_another_path_is_replaced(
    database: Database, queue: Queue, status: str
) -> None:
    """RQ would run it again and again, perhaps for minutes, before it gives up."""
    [row] = ask(database, 1)
    enqueue_old(queue, row.id)
    if status == "scheduled":
        burst(queue)
    assert job_of(queue, row.id).get_status() == status
    assert enqueue_again(queue, SETTINGS, database) == 1
    assert queue.get_job_ids() == [job_id(row.id, 1)]
    assert job_of(queue, row.id).func_name == JOB
    assert queue.scheduled_job_registry.get_job_ids() == []
    assert enqueue_again(queue, SETTINGS, database) == 0


def test_a_started_job_of_another_path_is_left_to_its_worker(
    database: Database, queue: Queue
) -> None:
    """A worker of the older version may be making the prediction at this moment."""
    [row] = ask(database, 1)
    enqueue_old(queue, row.id)
    job_of(queue, row.id).set_status(JobStatus.STARTED)
    assert enqueue_again(queue, SETTINGS, database) == 0
    assert job_of(queue, row.id).func_name == OLD_JOB


def test_a_job_of_another_path_that_a_worker_takes_during_the_sweep_is_left_to_it(
    database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = ask(database, 1)
    enqueue_old(queue, row.id)
    fetch = queue.fetch_job

    def taken(name: str) -> Job | None:
        fetch(name).set_status(JobStatus.STARTED)  # type: ignore[union-attr]
        return fetch(name)

    monkeypatch.setattr(queue, "fetch_job", taken)
    assert enqueue_again(queue, SETTINGS, database) == 0
    assert job_of(queue, row.id).func_name == OLD_JOB


def test_a_job_of_another_path_that_expires_during_the_sweep_is_replaced(
    database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = ask(database, 1)
    enqueue_old(queue, row.id)
    fetch = queue.fetch_job

    def expired(name: str) -> Job | None:
        fetch(name).delete()  # type: ignore[union-attr]
        return fetch(name)

    with monkeypatch.context() as patches:
        patches.setattr(queue, "fetch_job", expired)
        assert enqueue_again(queue, SETTINGS, database) == 1
    assert job_of(queue, row.id).func_name == JOB


def test_a_job_that_lost_its_data_does_not_stop_the_sweep(database: Database, queue: Queue) -> None:
    broken, missing = ask(database, 1, 2)
    enqueue(queue, SETTINGS, broken.id, 1)
    queue.connection.hdel(Job.key_for(job_id(broken.id, 1)), "data")
    assert enqueue_again(queue, SETTINGS, database) == 1
    assert job_of(queue, missing.id).get_status() == "queued"


def test_a_failed_job_does_not_stand_in_the_way_of_the_next_round(
    database: Database, queue: Queue
) -> None:
    [row] = ask(database, 1)
    enqueue(queue, SETTINGS, row.id, 1)
    job_of(queue, row.id).set_status(JobStatus.FAILED)
    assert PredictionStorage(database).next_round(row.id, 1)
    enqueue(queue, SETTINGS, row.id, 2)
    assert job_of(queue, row.id, 2).get_status() == "queued"


def test_an_unreachable_redis_is_reported(database: Database) -> None:
    ask(database, 1)
    away = make_queue(Redis(port=1, socket_connect_timeout=1, retry=None))
    with pytest.raises(RedisError):
        enqueue_again(away, SETTINGS, database)
