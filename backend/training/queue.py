"""The queue of trainings, apart from that of predictions: one RQ job a training.

As with predictions, Redis may forget all of it: what has to be done stands in the database.
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

log = logging.getLogger(__name__)

NAME = "training"
JOB = "backend.training.job.train"  # by its path: nobody but the trainer needs it


def make_training_queue(connection: Redis) -> Queue:
    """The one queue of trainings, which all processes share."""
    return Queue(NAME, connection=connection, serializer=JSONSerializer)


def training_job_id(training: Training) -> str:
    """Name of the job for one round of a training; a new round never meets an old job."""
    return f"train-{training.id}-{training.round}"


def enqueue_training(queue: Queue, settings: Settings, training: Training) -> None:
    """Have a trainer do it; harmless where the job is there already.

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
        log.debug("Training %s is queued already", training.id)


def enqueue_trainings_again(queue: Queue, settings: Settings, database: Database) -> int:
    """Queue every training that has not ended and has no job; how many were missing.

    Raises:
        RedisError: Redis cannot be reached.
    """
    trainings, missing = TrainingStorage(database), 0
    for training in trainings.unfinished():
        job = queue.fetch_job(training_job_id(training))
        over = job is not None and job.get_status() in FINAL_STATES
        if over and not trainings.next_round(training.id, training.round):
            continue
        if job is None or over:
            current = trainings.training(training.id)
            assert current is not None
            enqueue_training(queue, settings, current)
            missing += 1
    return missing
