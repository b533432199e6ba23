"""An RQ worker that does not fork, survives Redis outages and stops quickly.

Jobs run in the worker's own process: a loaded detector and torch's threads would not survive a
fork.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry, clean_registries
from rq.serializers import JSONSerializer
from rq.utils import now, utcformat
from rq.worker_registration import clean_worker_registry

from backend import retries
from backend.logs import job_log_context
from backend.queue.interruption import Interrupted, JobFailed, interrupt
from backend.settings import Settings

logger = logging.getLogger(__name__)

# A worker without a heartbeat for this long counts as dead, and another one takes its job.
SILENCE_SECONDS = 30
HEARTBEAT_SECONDS = 5.0
REPEATS_AFTER_SECONDS = 1.0
IDLE_SECONDS = 60  # how long an idle worker waits for a job before it sends a heartbeat

# Makes a context that is open while a worker lives.
WorkerContext = Callable[["SteadyWorker"], AbstractContextManager[None]]


class WorkerRefused(RuntimeError):
    """The worker cannot start; the message says what to do, in one line."""


def required_redis_url(settings: Settings) -> str:
    """Return the address of Redis; a worker started by itself has no embedded one.

    Raises:
        WorkerRefused: the setting is missing.
    """
    if settings.redis_url is None:
        raise WorkerRefused(
            "expected REDIS_URL, the Redis that the web process uses, but it is not set: set it, "
            "or start everything at once with `python -m backend serve`"
        )
    return settings.redis_url


class SteadyWorker(SimpleWorker):  # type: ignore[misc]
    """An RQ worker that sends heartbeats during a job and requeues the job when it has to stop.

    Args:
        queues: to take jobs from; from a later one only while the earlier ones are empty.

    Attributes:
        stop_requested: whether a signal asked the worker to stop.
        before_dequeue: called whenever the worker is about to take a job.
    """

    log_result_lifespan = False

    def __init__(self, *queues: Queue) -> None:
        # Monotonic times: of the latest heartbeat, and of the latest look for a suspension.
        self._reported_at = self._looked_at = -math.inf
        super().__init__(
            list(queues),
            connection=queues[0].connection,
            serializer=JSONSerializer,
            worker_ttl=IDLE_SECONDS,
            log_job_description=False,
        )
        self.stop_requested = False
        self.before_dequeue: Callable[[], None] = lambda: None

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """False: `workers.maintenance` runs them, also during a job (see `clean_up`)."""
        return False

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Return the seconds without a heartbeat after which another worker takes the job."""
        return SILENCE_SECONDS

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Take a job, as soon as there is one."""
        self.before_dequeue()
        taken: tuple[Job, Queue] | None = super().dequeue_job_and_maintain_ttl(
            timeout, max_idle_time
        )
        return taken

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Report that the worker lives, unless it has just done the same: RQ does so at each step.

        Args:
            timeout: s for which it counts as alive; None for as long as it may be idle.
        """
        is_plain = timeout is None and pipeline is None
        moment = time.monotonic()
        if is_plain and moment - self._reported_at < REPEATS_AFTER_SECONDS:
            return
        if pipeline is None:
            with self.connection.pipeline(transaction=False) as together:
                super().heartbeat(timeout, together)
                together.execute()
        else:
            super().heartbeat(timeout, pipeline)
        # After one for a shorter time, the next one is needed.
        self._reported_at = moment if is_plain else -math.inf

    def set_state(self, state: str, pipeline: Pipeline | None = None) -> None:
        """Record what the worker does; RQ does so twice between jobs, which is once too often."""
        if pipeline is not None or state != self.get_state():
            super().set_state(state, pipeline)

    def check_for_suspension(self, burst: bool) -> None:
        """Wait while `rq suspend` has suspended all workers; looks once a second, not each job."""
        moment = time.monotonic()
        if moment - self._looked_at >= REPEATS_AFTER_SECONDS:
            super().check_for_suspension(burst)
            self._looked_at = moment

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:
        """Note when a job ended; its last heartbeat, which RQ sends here, would tell nobody."""
        job.ended_at = now()

    def handle_job_success(
        self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry, execution: Execution
    ) -> None:
        """Record a success in one round trip: no job here has dependents, repeats or a result."""
        lifetime = job.get_result_ttl(self.default_result_ttl)
        with self.connection.pipeline() as pipeline:
            self.increment_successful_job_count(pipeline)
            self.increment_total_working_time(job.ended_at - job.started_at, pipeline)
            job.set_status(JobStatus.FINISHED, pipeline)
            pipeline.hset(job.key, "ended_at", utcformat(job.ended_at))
            job.finished_job_registry.add(job, lifetime, pipeline)
            pipeline.expire(job.key, lifetime)
            self.cleanup_execution(job, pipeline, execution)
            pipeline.execute()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job; see `work` for its heartbeats."""
        with job_log_context():
            super().execute_job(job, queue)

    def work(self, *arguments: Any, **options: Any) -> bool:
        """Run jobs as RQ does, with a heartbeat every few seconds of each."""
        with self._heartbeats():
            return bool(super().work(*arguments, **options))

    @contextmanager
    def _heartbeats(self) -> Iterator[None]:
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT_SECONDS):
                for execution in list(self.executions.values()):
                    self._send_heartbeat(execution)

        thread = threading.Thread(target=beat, name="heartbeats", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _send_heartbeat(self, execution: Execution) -> None:
        try:
            self.maintain_heartbeats(execution.job, execution)
        except RedisError as error:
            logger.warning("This worker's heartbeat did not reach Redis: %s", error)

    def handle_exception(self, job: Job, *exc_info: object) -> None:
        """Log one line for an expected failure, the whole traceback for any other."""
        if isinstance(exc_info[1], JobFailed):
            logger.warning("%s", exc_info[1])
        elif isinstance(exc_info[1], Interrupted):
            logger.info("%s goes back to the queue", job.id)
        else:
            super().handle_exception(job, *exc_info)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal: stop after the current job, and interrupt it where that is possible."""
        self.stop_requested = True
        try:
            super().request_stop(signum, frame)
        except RedisError as error:
            logger.warning("Cannot report to Redis that this worker is stopping: %s", error)
        interrupt()


def work_until_stopped(queues: Sequence[Queue], context: WorkerContext) -> None:
    """Run jobs until a signal asks to stop, with a new worker after each loss of Redis.

    Args:
        queues: see `SteadyWorker`.
        context: opened around each worker.
    """
    failures = 0
    while True:
        began = time.monotonic()
        if _work_once(queues, context):
            return
        if time.monotonic() - began > retries.WORKER_REDIS.longest:
            failures = 0
        try:
            time.sleep(retries.WORKER_REDIS.pause(failures))
        except StopRequested:  # raised by the last worker's signal handler, which is still set
            return
        failures += 1


def _work_once(queues: Sequence[Queue], context: WorkerContext) -> bool:
    """Run jobs until a signal asks to stop or Redis is lost.

    Returns:
        Whether a signal asked to stop.
    """
    worker: SteadyWorker | None = None
    try:
        worker = SteadyWorker(*queues)
        with context(worker):
            worker.work()
    except RedisError as error:
        logger.error("Redis cannot be reached: %s", error)
    return worker is not None and worker.stop_requested


def clean_up(queue: Queue, worker: SteadyWorker) -> None:
    """Release the jobs of a queue's dead workers, and remove these workers.

    Args:
        worker: any live worker of the queue.

    Raises:
        RedisError: Redis cannot be reached.
    """
    clean_registries(queue)  # jobs that had started
    queue.intermediate_queue.cleanup(worker, queue)  # jobs that were taken but had not started
    clean_worker_registry(queue)
