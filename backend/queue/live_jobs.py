"""Which jobs a queue will still run, whatever Redis has lost."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rq import Queue
from rq.registry import StartedJobRegistry

AT_ONCE = 500  # jobs that one command to Redis is about
# So many at the front are looked at one by one: those of an older version are run first.
FRONT = 100
# A job that is in no list may be on its way from one to another for so long.
SETTLES_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class LiveJobs:
    """The ids of the jobs that are in a list of a queue.

    Attributes:
        listed: those that wait, are on their way to a worker, or run.
        sure: those of them that wait behind the front, and exist.
    """

    listed: frozenset[str]
    sure: frozenset[str]


def live_jobs(queue: Queue) -> LiveJobs:
    """Return the jobs that a queue will still run, with few commands however many there are."""
    waiting, others = _lists(queue)
    behind = waiting[FRONT:]
    lost = _lost_hashes(queue, behind)
    sure = frozenset(behind) - lost
    return LiveJobs(frozenset(waiting) | others, sure)


def put_back(queue: Queue, names: Sequence[str]) -> int:
    """Put jobs that exist and are in no list back into the queue, and count them.

    A job that a worker has taken meanwhile may then run twice, which is harmless.
    """
    if not names:
        return 0
    time.sleep(SETTLES_SECONDS)
    waiting, others = _lists(queue)
    listed = others.union(waiting)
    stranded = [name for name in names if name not in listed]
    stranded = [name for name in stranded if _is_unfinished(queue, name)]
    for start in range(0, len(stranded), AT_ONCE):
        queue.connection.rpush(queue.key, *stranded[start : start + AT_ONCE])
    return len(stranded)


def _lists(queue: Queue) -> tuple[list[str], frozenset[str]]:
    """Return the ids of the jobs that wait in a queue, in order, and of those elsewhere."""
    started: StartedJobRegistry = queue.started_job_registry
    with queue.connection.pipeline() as pipeline:
        pipeline.lrange(queue.key, 0, -1)
        pipeline.lrange(queue.intermediate_queue_key, 0, -1)
        pipeline.zrange(queue.scheduled_job_registry.key, 0, -1)
        pipeline.zrange(started.key, 0, -1)
        waiting, taken, scheduled, running = pipeline.execute()
    # An entry of the running ones ends with the number of its execution.
    names = [name.decode() for name in (*taken, *scheduled)]
    names += [name.decode().partition(":")[0] for name in running]
    return [name.decode() for name in waiting], frozenset(names)


def _lost_hashes(queue: Queue, names: Sequence[str]) -> frozenset[str]:
    """Return those of the jobs that are in a list but do not exist."""
    connection, key_for = queue.connection, queue.job_class.key_for
    lost: set[str] = set()
    for start in range(0, len(names), AT_ONCE):
        chunk = names[start : start + AT_ONCE]
        if connection.exists(*map(key_for, chunk)) == len(chunk):
            continue
        with connection.pipeline(transaction=False) as pipeline:
            for name in chunk:
                pipeline.exists(key_for(name))
            found = pipeline.execute()
        lost.update(name for name, exists in zip(chunk, found, strict=True) if not exists)
    return frozenset(lost)


def _is_unfinished(queue: Queue, name: str) -> bool:
    status = queue.connection.hget(queue.job_class.key_for(name), "status")
    return status in (b"queued", b"started", b"scheduled")
