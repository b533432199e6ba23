"""The queue between web processes and workers: one RQ job for each prediction, with only its id.

The database knows what has to be done, so Redis may lose the whole queue.
"""

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

from backend import retries
from backend.database.connection import Database
from backend.queue.lifetimes import FINAL_STATES, KEEP_FAILURE_SECONDS, KEEP_RESULT_SECONDS
from backend.settings import Settings
from backend.suggestions.storage import PredictionStorage

logger = logging.getLogger(__name__)

NAME = "predictions"
# Named by its path, so that the web process never loads torch.
JOB = "backend.suggestions.detection_job.predict"
PAGE = 1000
# States of a job that a worker has yet to take, for the first time or again.
WAITING = ("queued", "scheduled")


def make_queue(connection: Redis) -> Queue:
    """Return the one queue that web processes and workers share."""
    return Queue(NAME, connection=connection, serializer=JSONSerializer)


def job_id(prediction_id: int, round_: int) -> str:
    """Name the job of a prediction's round; a new round has a new job."""
    return f"predict-{prediction_id}-{round_}"


def enqueue(queue: Queue, settings: Settings, prediction_id: int, round_: int) -> None:
    """Ask a worker for one prediction; does nothing if the job exists.

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
        logger.debug("Prediction %s is queued already", prediction_id)


def enqueue_again(queue: Queue, settings: Settings, database: Database) -> int:
    """Queue every prediction that waits for a worker and has no job that will make it.

    Redis may have lost the job, it may have failed, or an older version of the program may have
    queued it under a path that no longer exists.

    Returns:
        How many were queued.

    Raises:
        RedisError: Redis cannot be reached.
    """
    predictions = PredictionStorage(database)
    count, after = 0, 0
    while page := predictions.queued(after, PAGE):
        for (prediction_id, round_), job in zip(page, _jobs(queue, page), strict=True):
            name = job_id(prediction_id, round_)
            if job is None or (job.is_obsolete and _delete_waiting(queue, name)):
                enqueue(queue, settings, prediction_id, round_)
            elif job.status in FINAL_STATES and predictions.next_round(prediction_id, round_):
                enqueue(queue, settings, prediction_id, round_ + 1)
            else:
                continue
            count += 1
        after = page[-1][0]
    return count


@dataclass(frozen=True, slots=True)
class _Job:
    """The part of an RQ job that shows whether it will make its prediction.

    Attributes:
        function: path of the function that it calls; None if RQ has lost it.
    """

    status: str
    function: str | None

    @property
    def is_obsolete(self) -> bool:
        """Whether the job waits to call another function than `JOB`."""
        return self.status in WAITING and self.function not in (JOB, None)


def _jobs(queue: Queue, page: Sequence[tuple[int, int]]) -> list[_Job | None]:
    """Read the jobs of (prediction id, round) at once; None for each that does not exist."""
    with queue.connection.pipeline(transaction=False) as pipeline:
        for prediction_id, round_ in page:
            key = queue.job_class.key_for(job_id(prediction_id, round_))
            pipeline.hmget(key, "status", "data")
        answers = pipeline.execute()
    return [
        None if status is None else _Job(status.decode(), _function(queue, data))
        for status, data in answers
    ]


def _function(queue: Queue, data: bytes | None) -> str | None:
    """Read the path of a job's function; RQ stores it in front of the arguments."""
    if data is None:
        return None
    function: str = queue.serializer.loads(zlib.decompress(data))[0]
    return function


def _delete_waiting(queue: Queue, name: str) -> bool:
    """Delete a job, unless a worker has taken it meanwhile: then return False."""
    job = queue.fetch_job(name)
    if job is not None and job.get_status(refresh=False) not in WAITING:
        return False
    if job is not None:
        job.delete()
    return True
