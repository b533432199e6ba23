"""One RQ job for each row of a table that waits for a worker; a job gets the id of its row alone.

The database knows what has to be done, so Redis may lose the whole queue. It holds the rows that
come next, in the order in which workers take them: of each project as many as of any other.
"""

import logging
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from redis import Redis
from rq import Queue, Worker
from rq.exceptions import DuplicateJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from backend.queue.lifetimes import FINAL_STATES, KEEP_FAILURE_SECONDS, KEEP_RESULT_SECONDS
from backend.queue.live_jobs import live_jobs, put_back
from backend.settings import Settings

logger = logging.getLogger(__name__)

# States of a job that a worker has yet to take, for the first time or again.
WAITING = ("queued", "scheduled")


Row = tuple[int, int]  # id and round


class WaitingRows(Protocol):
    """The rows of a table that wait for workers."""

    def projects(self) -> list[str]:
        """Return the uids of the projects that have such a row."""

    def first(self, project_uid: str, limit: int) -> list[Row]:
        """Return the rows of a project that come first."""


# Begins the round of a row that follows another; returns False if another process was faster.
NextRound = Callable[[int, int], bool]


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
        ahead: so many jobs for each worker wait in the queue, if there are as many rows. A worker
            must not run out of them until more are added, and a row of another project, which
            is added behind them, must not wait for long.
    """

    queue: str
    function: str
    prefix: str
    timeout: Callable[[Settings], int] = _image_timeout
    ahead: int = 32

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

    def enqueue_some(self, queue: Queue, settings: Settings, rows: Sequence[Row]) -> None:
        """Ask workers for as many rows as the queue has room for; `enqueue_again` adds the others.

        Raises:
            RedisError: Redis cannot be reached.
        """
        room = self._limit(queue) - queue.count
        for row_id, round_ in rows[: max(0, room)]:
            self.enqueue(queue, settings, row_id, round_)

    def enqueue_again(
        self, queue: Queue, settings: Settings, rows: WaitingRows, next_round: NextRound
    ) -> int:
        """Queue the next rows that have no job that will do their work, if the queue runs short.

        Of each project as many rows wait in the queue as of any other, and in turns. Some have no
        job because it was not their turn, others because Redis has lost the queue's list, the job,
        or both; the job may have failed, or an older version of the program may have queued it
        under a path that no longer exists.

        Returns:
            How many were queued.

        Raises:
            RedisError: Redis cannot be reached.
        """
        # A kind of work that there is none of takes one short query.
        if queue.count == 0 and not rows.projects():
            return 0
        limit = self._limit(queue)
        if queue.count > limit // 2:
            return 0
        live = live_jobs(queue)
        found = list(_next_rows(rows, limit))
        missing, stranded = [], []
        for (row_id, round_), job in zip(found, self._jobs(queue, found), strict=True):
            name = self.job_id(row_id, round_)
            if job is None or (self._is_obsolete(job) and _delete_waiting(queue, name)):
                missing.append((row_id, round_))
            elif job.status in FINAL_STATES:
                if next_round(row_id, round_):
                    missing.append((row_id, round_ + 1))
            elif name not in live:
                stranded.append(name)
        self._enqueue_many(queue, settings, missing)
        return len(missing) + put_back(queue, stranded)

    def _limit(self, queue: Queue) -> int:
        """Return the number of jobs that wait in the queue if there are as many rows."""
        workers: int = Worker.count(queue=queue)
        return self.ahead * max(1, workers)

    def _enqueue_many(self, queue: Queue, settings: Settings, missing: Sequence[Row]) -> None:
        """Ask workers for rows whose jobs do not exist, with one command."""
        if not missing:
            return
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
                for row_id, round_ in missing
            ]
        )

    def _jobs(self, queue: Queue, rows: Sequence[Row]) -> list["_Job | None"]:
        """Read the jobs of rows at once; None for each that does not exist."""
        with queue.connection.pipeline(transaction=False) as pipeline:
            for row_id, round_ in rows:
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


def _next_rows(rows: WaitingRows, limit: int) -> Iterator[Row]:
    """Yield the rows that come next: one of each project, then the second of each, and so on.

    At least one of each project is among them, so that none has to wait for another to be done.
    """
    projects = rows.projects()
    share = max(1, limit // max(1, len(projects)))
    columns = zip_longest(*(rows.first(uid, share) for uid in projects))
    return (row for column in columns for row in column if row is not None)


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
