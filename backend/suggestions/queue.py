"""The queue between web processes and workers: one RQ job for each prediction."""

from redis import Redis
from rq import Queue

from backend.database.connection import Database
from backend.queue.row_jobs import RowJobs
from backend.settings import Settings
from backend.suggestions.storage import PredictionStorage

NAME = "predictions"
JOB = "backend.suggestions.detection_job.predict"
_JOBS = RowJobs(NAME, JOB, prefix="predict")


def make_queue(connection: Redis) -> Queue:
    """Return the one queue that web processes and workers share."""
    return _JOBS.make_queue(connection)


def job_id(prediction_id: int, round_: int) -> str:
    """Name the job of a prediction's round; a new round has a new job."""
    return _JOBS.job_id(prediction_id, round_)


def enqueue(queue: Queue, settings: Settings, prediction_id: int, round_: int) -> None:
    """Ask a worker for one prediction; see `RowJobs.enqueue`."""
    _JOBS.enqueue(queue, settings, prediction_id, round_)


def enqueue_again(queue: Queue, settings: Settings, database: Database) -> int:
    """Queue the predictions that wait and have no job; see `RowJobs.enqueue_again`."""
    return _JOBS.enqueue_again(queue, settings, PredictionStorage(database))
