"""One RQ job for each row of a table that waits for a worker; a job gets the id of its row alone.

The database knows what has to be done, so Redis may lose the whole queue.
"""

import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from redis import Redis
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from backend.queue.lifetimes import FINAL_STATES, KEEP_FAILURE_SECONDS, KEEP_RESULT_SECONDS
from backend.queue.live_jobs import AT_ONCE, live_jobs, put_back
from backend.settings import Settings

logger = logging.getLogger(__name__)

PAGE = 5000  # rows read at a time
# States of a job that a worker has yet to take, for the first time or again.
WAITING = ("queued", "scheduled")


class WaitingRows(Protocol):
    """A table whose rows wait for workers."""

    def queued(self, after: int, limit: int) -> list[tuple[int, int]]:
        """Return (id, round) of the rows that wait for a worker and follow `after`, by id."""

    def next_round(self, row_id: int, after: int, /) -> bool:
        """Begin the round that follows `after`; False if another process was faster."""


def _image_timeout(settings: Settings) -> int:
    return settings.job_timeout


@dataclass(frozen=True, slots=True)
class RowJobs:
    """The jobs of a table's rows.

    Attributes:
        queue: name of the RQ queue.
        function: path of the function that workers call, so that the web process never loads torch.
        prefix: begins the id of each job.
        timeout: returns the longest time of a job, s.
    """

    queue: str
    function: str
    prefix: str
    timeout: Callable[[Settings], int] = _image_timeout

    def make_queue(self, connection: Redis) -> Queue:
        """Return the queue, which all processes share."""
        return Queue(self.queue, connection=connection, serializer=JSONSerializer)

    def job_id(self, row_id: int, round_: int) -> str:
        """Name the job of a row's round; a new round has a new job."""
        return f"{self.prefix}-{row_id}-{round_}"

    def enqueue(self, queue: Queue, settings: Settings, row_id: int, round_: int) -> None:
        """Ask a worker for one row; does nothing if the job exists.

        Raises:
            RedisError: Redis cannot be reached.
        """
        try:
            queue.enqueue(
                self.function,
                row_id,
                job_id=self.job_id(row_id, round_),
                unique=True,
                job_timeout=self.timeout(settings),
                result_ttl=KEEP_RESULT_SECONDS,
                failure_ttl=KEEP_FAILURE_SECONDS,
            )
        except DuplicateJobError:
            logger.debug("%s is queued already", self.job_id(row_id, round_))

    def enqueue_again(self, queue: Queue, settings: Settings, rows: WaitingRows) -> int:
        """Queue every row that waits for a worker and has no job that will do its work.

        Redis may have lost the queue's list, the job, or both; the job may have failed, or an older
        version of the program may have queued it under a path that no longer exists.

        Returns:
            How many were queued.

        Raises:
            RedisError: Redis cannot be reached.
        """
        live, count, after = live_jobs(queue), 0, 0
        stranded: list[str] = []
        while page := rows.queued(after, PAGE):
            after = page[-1][0]
            unsure = [row for row in page if self.job_id(*row) not in live.sure]
            missing = []
            for (row_id, round_), job in zip(unsure, self._jobs(queue, unsure), strict=True):
                name = self.job_id(row_id, round_)
                if job is None or (self._is_obsolete(job) and _delete_waiting(queue, name)):
                    missing.append((row_id, round_))
                elif job.status in FINAL_STATES:
                    if rows.next_round(row_id, round_):
                        missing.append((row_id, round_ + 1))
                elif name not in live.listed:
                    stranded.append(name)
            self._enqueue_many(queue, settings, missing)
            count += len(missing)
        return count + put_back(queue, stranded)

    def _enqueue_many(
        self, queue: Queue, settings: Settings, missing: Sequence[tuple[int, int]]
    ) -> None:
        """Ask workers for rows (id, round) whose jobs do not exist, many with one command."""
        for start in range(0, len(missing), AT_ONCE):
            queue.enqueue_many(
                [
                    Queue.prepare_data(
                        self.function,
                        (row_id,),
                        job_id=self.job_id(row_id, round_),
                        timeout=self.timeout(settings),
                        result_ttl=KEEP_RESULT_SECONDS,
                        failure_ttl=KEEP_FAILURE_SECONDS,
                    )
                    for row_id, round_ in missing[start : start + AT_ONCE]
                ]
            )

    def _jobs(self, queue: Queue, page: Sequence[tuple[int, int]]) -> list["_Job | None"]:
        """Read the jobs of (row id, round) at once; None for each that does not exist."""
        with queue.connection.pipeline(transaction=False) as pipeline:
            for row_id, round_ in page:
                key = queue.job_class.key_for(self.job_id(row_id, round_))
                pipeline.hmget(key, "status", "data")
            answers = pipeline.execute()
        return [
            None if status is None else _Job(status.decode(), _function(queue, data))
            for status, data in answers
        ]

    def _is_obsolete(self, job: "_Job") -> bool:
        """Return whether a job waits to call another function."""
        return job.status in WAITING and job.function not in (self.function, None)


@dataclass(frozen=True, slots=True)
class _Job:
    """The part of an RQ job that shows whether it will do the work of its row.

    Attributes:
        function: path of the function that it calls; None if RQ has lost it.
    """

    status: str
    function: str | None


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


def requeue_at_front(job: Job | None) -> None:
    """Have RQ put an interrupted job back to the front of its queue, without using up a retry."""
    if job is None:
        return
    left, pauses = job.retries_left or 0, list(job.retry_intervals or [])
    job.retries_left = left + 1
    job.retry_intervals = [*pauses[: len(pauses) - left], 0, *pauses[len(pauses) - left :]]
    job.enqueue_at_front_on_retry = True
