"""Which jobs a queue will still run, whatever Redis has lost."""

import time
from collections.abc import Sequence

from rq import Queue
from rq.registry import StartedJobRegistry

AT_ONCE = 500  # jobs that one command to Redis is about
# A job that is in no list may be on its way from one to another for so long.
SETTLES_SECONDS = 0.5


def live_jobs(queue: Queue) -> frozenset[str]:
    """Return the ids of the jobs that wait in a queue, are on their way to a worker, or run."""
    started: StartedJobRegistry = queue.started_job_registry
    with queue.connection.pipeline() as pipeline:
        pipeline.lrange(queue.key, 0, -1)
        pipeline.lrange(queue.intermediate_queue_key, 0, -1)
        pipeline.zrange(queue.scheduled_job_registry.key, 0, -1)
        pipeline.zrange(started.key, 0, -1)
        *listed, running = pipeline.execute()
    names = [name.decode() for some in listed for name in some]
    # An entry of the running ones ends with the number of its execution.
    names += [name.decode().partition(":")[0] for name in running]
    return frozenset(names)


def put_back(queue: Queue, names: Sequence[str]) -> int:
    """Put jobs that exist and are in no list back into the queue, and count them.

    A job that a worker has taken meanwhile may then run twice, which is harmless.
    """
    if not names:
        return 0
    time.sleep(SETTLES_SECONDS)
    listed = live_jobs(queue)
    stranded = [name for name in names if name not in listed]
    stranded = [name for name in stranded if _is_unfinished(queue, name)]
    for start in range(0, len(stranded), AT_ONCE):
        queue.connection.rpush(queue.key, *stranded[start : start + AT_ONCE])
    return len(stranded)


def _is_unfinished(queue: Queue, name: str) -> bool:
    status = queue.connection.hget(queue.job_class.key_for(name), "status")
    return status in (b"queued", b"started", b"scheduled")
