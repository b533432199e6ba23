"""What was lost in Redis is found by comparing it with the database, whatever was lost."""

from collections.abc import Callable

import pytest
from rq import Queue, SimpleWorker
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from test_suggestions_queue import SETTINGS, ask, enqueue

from backend.database.connection import Database
from backend.queue import live_jobs
from backend.suggestions.queue import enqueue_again, job_id


def lose_list(queue: Queue) -> None:
    queue.connection.delete(queue.key)


def lose_hashes(queue: Queue) -> None:
    queue.connection.delete(*map(Job.key_for, queue.get_job_ids()))


def lose_every_third_hash(queue: Queue) -> None:
    queue.connection.delete(*map(Job.key_for, queue.get_job_ids()[::3]))


def lose_half_of_the_list(queue: Queue) -> None:
    queue.connection.ltrim(queue.key, 0, 3)


def lose_everything(queue: Queue) -> None:
    queue.connection.flushall()


LOSSES = [
    lose_list,
    lose_hashes,
    lose_every_third_hash,
    lose_half_of_the_list,
    lose_everything,
]


def run_all(queue: Queue) -> list[str]:
    """Return the ids of the jobs that a worker gets, in order."""
    taken = []

    class Worker(SimpleWorker):
        def execute_job(self, job: Job, queue: Queue) -> None:
            taken.append(job.id)

    worker = Worker([queue], connection=queue.connection, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="CRITICAL")
    return taken


@pytest.mark.parametrize("lose", LOSSES)
def test_whatever_was_lost_every_row_gets_its_job(
    database: Database,
    queue: Queue,
    lose: Callable[[Queue], None],
) -> None:
    rows = ask(database, *range(1, 11))
    for row in rows:
        enqueue(queue, SETTINGS, row.id, row.round)
    assert enqueue_again(queue, SETTINGS, database) == 0
    lose(queue)
    assert enqueue_again(queue, SETTINGS, database) > 0
    assert enqueue_again(queue, SETTINGS, database) == 0
    assert set(run_all(queue)) == {job_id(row.id, 1) for row in rows}


def test_jobs_put_back_keep_their_order(database: Database, queue: Queue) -> None:
    rows = ask(database, *range(1, 6))
    for row in rows:
        enqueue(queue, SETTINGS, row.id, row.round)
    lose_list(queue)
    assert enqueue_again(queue, SETTINGS, database) == 5
    assert run_all(queue) == [job_id(row.id, 1) for row in rows]


def test_a_job_on_its_way_to_a_worker_is_not_put_back(
    database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker has taken it from the list, and says a moment later that it runs."""
    [row] = ask(database, 1)
    enqueue(queue, SETTINGS, row.id, 1)
    queue.connection.lpop(queue.key)

    def arrive(_: float) -> None:
        queue.connection.zadd(queue.started_job_registry.key, {f"{job_id(row.id, 1)}:abc": 9e9})

    monkeypatch.setattr(live_jobs.time, "sleep", arrive)
    assert enqueue_again(queue, SETTINGS, database) == 0
    assert queue.get_job_ids() == []


def test_a_job_that_ends_during_the_sweep_is_not_put_back(
    database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = ask(database, 1)
    enqueue(queue, SETTINGS, row.id, 1)
    queue.connection.lpop(queue.key)
    job = queue.fetch_job(job_id(row.id, 1))
    assert job is not None
    monkeypatch.setattr(live_jobs.time, "sleep", lambda _: job.set_status(JobStatus.FINISHED))
    assert enqueue_again(queue, SETTINGS, database) == 0
    assert queue.get_job_ids() == []
