"""The queue of interactive answers; workers take from it before everything else."""

from redis import Redis
from rq import Queue

from backend.queue.row_jobs import RowJobs
from backend.settings import Settings

NAME = "interactive"
JOB = "backend.suggestions.interactive_job.complete"
_JOBS = RowJobs(NAME, JOB, prefix="interactive")


def make_interactive_queue(connection: Redis) -> Queue:
    """Return the queue of interactive answers, which all processes share."""
    return _JOBS.make_queue(connection)


def enqueue_answer(queue: Queue, settings: Settings, answer_id: int) -> None:
    """Ask a worker for one answer; an annotator who waits for it places a new point by hand.

    Raises:
        RedisError: Redis cannot be reached.
    """
    _JOBS.enqueue(queue, settings, answer_id, 1)
