"""The queue of trainings, separate from that of predictions: one RQ job per training.

Redis may lose all of it: the database knows which trainings have not ended.
"""

from redis import Redis
from rq import Queue

from backend.database.connection import Database
from backend.queue.row_jobs import RowJobs
from backend.settings import Settings
from backend.training.queries import due_trainings
from backend.training.records import Training
from backend.training.storage import TrainingStorage

TRAINING_QUEUE = "training"
JOB = "backend.training.job.train"  # by path: only a trainer imports it


def _timeout(settings: Settings) -> int:
    return settings.training_timeout


_JOBS = RowJobs(TRAINING_QUEUE, JOB, prefix="train", timeout=_timeout)


def make_training_queue(connection: Redis) -> Queue:
    """Return the queue of trainings, which all processes share."""
    return _JOBS.make_queue(connection)


def training_job_id(training: Training) -> str:
    """Return the id of the RQ job for the current round: a new round never meets an old job."""
    return _JOBS.job_id(training.id, training.round)


def enqueue_training(queue: Queue, settings: Settings, training: Training) -> None:
    """Queue the job of a training; harmless if it is queued already.

    Raises:
        RedisError: Redis cannot be reached.
    """
    _JOBS.enqueue(queue, settings, training.id, training.round)


def enqueue_trainings_again(queue: Queue, settings: Settings, database: Database) -> int:
    """Queue every training that waits and has no job; see `RowJobs.enqueue_again`."""
    next_round = TrainingStorage(database).next_round
    return _JOBS.enqueue_again(queue, settings, due_trainings(database), next_round)
