"""RQ's worker as all of ours are: without forks, alive through losses of Redis, and quick to end.

Jobs run in the process itself: a detector and torch's threads would not survive a fork.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.registry import clean_registries
from rq.serializers import JSONSerializer
from rq.worker_registration import clean_worker_registry

from backend.queue.interruption import Interrupted, JobFailed, interrupt
from backend.settings import Settings

log = logging.getLogger(__name__)

# A worker that is silent for so long is dead, and its job goes to another one.
SILENCE_SECONDS = 30
HEARTBEAT_SECONDS = 5.0
IDLE_SECONDS = 60  # how long an idle worker waits before it says that it lives

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0


class WorkerRefused(RuntimeError):
    """The worker cannot start; one line that says what to do."""


def named_redis(settings: Settings) -> str:
    """The address of Redis, which has to be set: a worker has no embedded one of its own.

    Raises:
        WorkerRefused: it is not set.
    """
    if settings.redis_url is None:
        raise WorkerRefused(
            "expected REDIS_URL, the Redis that the web process uses, but it is not set: set it, "
            "or start everything at once with `python -m backend serve`"
        )
    return settings.redis_url


class SteadyWorker(SimpleWorker):  # type: ignore[misc]
    """Says during a job that it lives, and lets go of it when told to end."""

    log_result_lifespan = False

    def __init__(self, queue: Queue) -> None:
        super().__init__(
            [queue],
            connection=queue.connection,
            serializer=JSONSerializer,
            worker_ttl=IDLE_SECONDS,
            log_job_description=False,
        )
        self.told_to_stop = False

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Never: a caretaker does it, also while a job runs (see `clear_up`)."""
        return False

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """After how many seconds of silence others take over."""
        return SILENCE_SECONDS

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job, with a sign of life every few seconds."""
        with self._heart():
            super().execute_job(job, queue)

    @contextmanager
    def _heart(self) -> Iterator[None]:
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT_SECONDS):
                for execution in list(self.executions.values()):
                    self._say_alive(execution)

        thread = threading.Thread(target=beat, name="heart", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _say_alive(self, execution: Execution) -> None:
        try:
            self.maintain_heartbeats(execution.job, execution)
        except RedisError as error:
            log.warning("Redis cannot be told that this worker lives: %s", error)

    def handle_exception(self, job: Job, *exc_info: object) -> None:
        """Log one line for what a job says itself, everything for what it does not."""
        if isinstance(exc_info[1], JobFailed):
            log.warning("%s", exc_info[1])
        elif isinstance(exc_info[1], Interrupted):
            log.info("%s goes back to the queue", job.id)
        else:
            super().handle_exception(job, *exc_info)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End after the job; what of it can be given up is given up."""
        self.told_to_stop = True
        try:
            super().request_stop(signum, frame)
        except RedisError as error:
            log.warning("Redis cannot be told that this worker ends: %s", error)
        interrupt()


def work_until_told(
    queue: Queue, attend: Callable[[SteadyWorker], AbstractContextManager[None]]
) -> None:
    """Work until told to stop, through every loss of Redis.

    Args:
        attend: what goes on beside each worker, of which there is one after the other.
    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        began = time.monotonic()
        if _work_once(queue, attend):
            return
        if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        try:
            time.sleep(pause)
        except StopRequested:  # the last worker's handler of signals is still there
            return
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _work_once(
    queue: Queue, attend: Callable[[SteadyWorker], AbstractContextManager[None]]
) -> bool:
    """Work until told to stop, then return true, or until Redis is lost."""
    worker: SteadyWorker | None = None
    try:
        worker = SteadyWorker(queue)
        with attend(worker):
            worker.work()
    except RedisError as error:
        log.error("Redis cannot be reached: %s", error)
    return worker is not None and worker.told_to_stop


def clear_up(queue: Queue, worker: SteadyWorker) -> None:
    """Have Redis note which workers of a queue died, and with which jobs.

    Raises:
        RedisError: Redis cannot be reached.
    """
    # Jobs of dead workers; those that died between taking a job and starting it; dead workers.
    clean_registries(queue)
    queue.intermediate_queue.cleanup(worker, queue)
    clean_worker_registry(queue)
