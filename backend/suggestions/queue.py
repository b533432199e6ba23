"""The queues of predictions between web processes and workers: one RQ job for each prediction.

What an annotator has opened waits in a queue of its own, which workers empty first. A prediction
that was part of a batch and is opened then gets a further job, and the one in the batch finds
nothing left to do.
"""

from collections.abc import Sequence

from redis import Redis
from rq import Queue

from backend.database.connection import Database
from backend.queue.row_jobs import RowJobs
from backend.settings import Settings
from backend.suggestions.queries import due_predictions
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage

NAME = "predictions"
OPENED = "opened"
JOB = "backend.suggestions.detection_job.predict"
_BATCH = RowJobs(NAME, JOB, prefix="predict")
# Fewer, because somebody waits for each that is added behind them.
_OPENED = RowJobs(OPENED, JOB, prefix="opened", ahead=8)


def make_queue(connection: Redis) -> Queue:
    """Return the queue of batches, which web processes and workers share."""
    return _BATCH.make_queue(connection)


def make_opened_queue(connection: Redis) -> Queue:
    """Return the queue of what annotators have opened."""
    return _OPENED.make_queue(connection)


def job_id(prediction_id: int, round_: int, *, opened: bool = False) -> str:
    """Name the job of a prediction's round; a new round has a new job."""
    return (_OPENED if opened else _BATCH).job_id(prediction_id, round_)


def enqueue(queue: Queue, settings: Settings, rows: Sequence[Prediction]) -> None:
    """Ask workers for those of the predictions that wait and that there is room for.

    Workers find the others when their turn has come; see `enqueue_again`.

    Args:
        queue: of batches; the other one is on the same Redis.

    Raises:
        RedisError: Redis cannot be reached.
    """
    waiting = {row.id: row for row in rows if row.status == "queued"}.values()
    opened = [(row.id, row.round) for row in waiting if row.opened_at is not None]
    others = [(row.id, row.round) for row in waiting if row.opened_at is None]
    if opened:
        _OPENED.enqueue_some(make_opened_queue(queue.connection), settings, opened)
    if others:
        _BATCH.enqueue_some(queue, settings, others)


def enqueue_again(queue: Queue, settings: Settings, database: Database) -> int:
    """Queue the predictions that come next, of both kinds; see `RowJobs.enqueue_again`.

    Args:
        queue: of batches; the other one is on the same Redis.
    """
    next_round = PredictionStorage(database).next_round
    opened, others = (due_predictions(database, opened=each) for each in (True, False))
    first = make_opened_queue(queue.connection)
    return _OPENED.enqueue_again(first, settings, opened, next_round) + _BATCH.enqueue_again(
        queue, settings, others, next_round
    )
