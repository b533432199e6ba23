"""The queue of examples that wait for their features; workers take from it before predictions."""

from redis import Redis
from rq import Queue

from backend.database.connection import Database
from backend.learning.storage import ExampleStorage
from backend.queue.row_jobs import RowJobs
from backend.settings import Settings

NAME = "learning"
JOB = "backend.learning.learn_job.learn"
_JOBS = RowJobs(NAME, JOB, prefix="learn")


def make_learning_queue(connection: Redis) -> Queue:
    """Return the queue of examples, which all processes share."""
    return _JOBS.make_queue(connection)


def enqueue_examples(queue: Queue, settings: Settings, database: Database) -> int:
    """Queue the examples that wait and have no job; see `RowJobs.enqueue_again`."""
    examples = ExampleStorage(database, limit=settings.learn_examples)
    return _JOBS.enqueue_again(queue, settings, examples)
