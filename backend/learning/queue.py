"""The queues of examples that wait for their features.

What people submit now is learnt before predictions are made, a backlog after them.
"""

from redis import Redis
from rq import Queue

from backend.database.connection import Database
from backend.learning.queries import due_examples
from backend.learning.storage import ExampleStorage
from backend.queue.row_jobs import RowJobs
from backend.settings import Settings

NAME = "learning"
BACKLOG = "learning-backlog"
JOB = "backend.learning.learn_job.learn"
_NEWEST = RowJobs(NAME, JOB, prefix="learn", ahead=8)
_BACKLOG = RowJobs(BACKLOG, JOB, prefix="relearn", ahead=8)


def make_learning_queue(connection: Redis) -> Queue:
    """Return the queue of the examples that were just submitted, which all processes share."""
    return _NEWEST.make_queue(connection)


def make_backlog_queue(connection: Redis) -> Queue:
    """Return the queue of all other examples."""
    return _BACKLOG.make_queue(connection)


def enqueue_examples(queue: Queue, settings: Settings, database: Database) -> int:
    """Queue the examples that come next, of both kinds; see `RowJobs.enqueue_again`.

    Args:
        queue: of those that were just submitted; the other one is on the same Redis.
    """
    next_round = ExampleStorage(database, limit=settings.learn_examples).next_round
    newest, others = (due_examples(database, newest=each) for each in (True, False))
    backlog = make_backlog_queue(queue.connection)
    return _NEWEST.enqueue_again(queue, settings, newest, next_round) + _BACKLOG.enqueue_again(
        backlog, settings, others, next_round
    )
