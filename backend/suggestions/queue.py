"""The queue between web processes and workers: one RQ job a prediction, and its id is all it holds.

Redis may forget all of it: what has to be done stands in the database.
"""

import logging

from redis import Redis
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

from backend import retries
from backend.database.connection import Database
from backend.queue.lifetimes import FINAL_STATES, KEEP_FAILURE_SECONDS, KEEP_RESULT_SECONDS
from backend.settings import Settings
from backend.suggestions.storage import PredictionStorage

log = logging.getLogger(__name__)

NAME = "predictions"
# By its path, so that the web process never loads torch.
JOB = "backend.suggestions.detection_job.predict"
PAGE = 1000


def make_queue(connection: Redis) -> Queue:
    """The one queue, which web processes and workers share."""
    return Queue(NAME, connection=connection, serializer=JSONSerializer)


def job_id(prediction_id: int, round_: int) -> str:
    """Name of the job for one round of a prediction; a new round never meets an old job."""
    return f"predict-{prediction_id}-{round_}"


def enqueue(queue: Queue, settings: Settings, prediction_id: int, round_: int) -> None:
    """Ask a worker for one prediction; harmless where the job is there already.

    Raises:
        RedisError: Redis cannot be reached.
    """
    pauses = [round(pause) for pause in retries.DETECTION_JOB.pauses(settings.job_retries)]
    try:
        queue.enqueue(
            JOB,
            prediction_id,
            job_id=job_id(prediction_id, round_),
            unique=True,
            job_timeout=settings.job_timeout,
            result_ttl=KEEP_RESULT_SECONDS,
            failure_ttl=KEEP_FAILURE_SECONDS,
            retry=Retry(max=len(pauses), interval=pauses) if pauses else None,
        )
    except DuplicateJobError:
        log.debug("Prediction %s is queued already", prediction_id)


def enqueue_again(queue: Queue, settings: Settings, database: Database) -> int:
    """Queue whatever waits for a worker and has no job: Redis may forget, and jobs may fail.

    Returns:
        How many were missing.

    Raises:
        RedisError: Redis cannot be reached.
    """
    missing, after = 0, 0
    while page := PredictionStorage(database).queued(after, PAGE):
        with queue.connection.pipeline(transaction=False) as pipeline:
            for prediction_id, round_ in page:
                pipeline.hget(queue.job_class.key_for(job_id(prediction_id, round_)), "status")
            answers = pipeline.execute()
        for (prediction_id, round_), answer in zip(page, answers, strict=True):
            status = answer.decode() if answer is not None else None
            if status is None:
                enqueue(queue, settings, prediction_id, round_)
                missing += 1
            elif status in FINAL_STATES and PredictionStorage(database).next_round(
                prediction_id, round_
            ):
                enqueue(queue, settings, prediction_id, round_ + 1)
                missing += 1
        after = page[-1][0]
    return missing
