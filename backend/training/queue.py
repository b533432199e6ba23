"""The queue of trainings, separate from that of predictions: one RQ job per training.

Redis may lose all of it: the database knows which trainings have not ended.
"""

import logging

from redis import Redis
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

from backend.database.connection import Database
from backend.queue.lifetimes import FINAL_STATES, KEEP_FAILURE_SECONDS, KEEP_RESULT_SECONDS
from backend.settings import Settings
from backend.training.records import Training
from backend.training.storage import TrainingStorage

logger = logging.getLogger(__name__)

TRAINING_QUEUE = "training"
JOB = "backend.training.job.train"  # by path: only a trainer imports it


def make_training_queue(connection: Redis) -> Queue:
    """Return the queue of trainings, which all processes share."""
    return Queue(TRAINING_QUEUE, connection=connection, serializer=JSONSerializer)


def training_job_id(training: Training) -> str:
    """Return the id of the RQ job for the current round: a new round never meets an old job."""
    return f"train-{training.id}-{training.round}"


def enqueue_training(queue: Queue, settings: Settings, training: Training) -> None:
    """Queue the job of a training; harmless if it is queued already.

    Raises:
        RedisError: Redis cannot be reached.
    """
    try:
        queue.enqueue(
            JOB,
            training.id,
            job_id=training_job_id(training),
            unique=True,
            job_timeout=settings.training_timeout,
            result_ttl=KEEP_RESULT_SECONDS,
            failure_ttl=KEEP_FAILURE_SECONDS,
        )
    except DuplicateJobError:
        logger.debug("Training %s is queued already", training.id)


def enqueue_trainings_again(queue: Queue, settings: Settings, database: Database) -> int:
    """Queue every training that has not ended and whose job is lost or over.

    Returns:
        The number of trainings queued.

    Raises:
        RedisError: Redis cannot be reached.
    """
    trainings, queued = TrainingStorage(database), 0
    for training in trainings.to_run():
        job = queue.fetch_job(training_job_id(training))
        over = job is not None and job.get_status() in FINAL_STATES
        if over and not trainings.next_round(training.id, training.round):
            continue
        if job is None or over:
            current = trainings.training(training.id)
            assert current is not None, "rows are never deleted"
            enqueue_training(queue, settings, current)
            queued += 1
    return queued
