"""The worker process: RQ's worker, with a detector that is loaded once and a caretaker beside it.

Jobs run in the process itself, not in a fork: detector and torch's threads would not survive one.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.registry import clean_registries
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer
from rq.worker_registration import clean_worker_registry
from sqlalchemy.exc import SQLAlchemyError

from backend import jobs
from backend.bookkeeping import bookkeeper
from backend.delivery import Courier, LabelStudios
from backend.logs import set_up_logging
from backend.settings import Settings
from backend.storage import Storage
from backend.web import prepare_database
from backend.work_queue import enqueue_again, make_queue
from model.detector import Detector
from model.networks import load_classifier

log = logging.getLogger(__name__)

# A worker that is silent for so long is dead, and its job goes to another one.
SILENCE_SECONDS = 30
HEARTBEAT_SECONDS = 5.0
IDLE_SECONDS = 60  # how long an idle worker waits before it says that it lives

CARE_SECONDS = 1.0
SWEEP_SECONDS = 5
SWEEP_SHARE = 0.05  # of the time, at most
SWEEP_LOCK = "prelabelling:sweep"
DELIVERIES_A_ROUND = 20
CARETAKER_ENDS_WITHIN_SECONDS = 3.0

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0


class WorkerRefused(RuntimeError):
    """The worker cannot start; one line that says what to do."""


def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or Ctrl-C; a job that is going on goes back to the queue.

    Raises:
        WorkerRefused, DatabaseUnusable: Redis, model or database cannot be had; one line each.
    """
    set_up_logging(settings.log_level)
    if settings.redis_url is None:
        raise WorkerRefused(
            "expected REDIS_URL, the Redis that the web process uses, but it is not set: set it, "
            "or start everything at once with `python -m backend serve`"
        )
    prepare_database(settings)
    workshop = _open_workshop(settings, Storage(settings.database))
    jobs.open_workshop(workshop)
    log.info("Ready with model version %s", workshop.model_version)
    with bookkeeper(settings, workshop.storage):
        _work(settings.redis_url, workshop)
    log.info("Ended")


def _open_workshop(settings: Settings, storage: Storage) -> jobs.Workshop:
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // settings.detection_workers))
    studios = LabelStudios(settings)
    try:
        detector = Detector(load_classifier(*settings.model()), settings.detector_settings())
        version = settings.model_version()
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise WorkerRefused(f"the worker cannot start without its model: {reason}") from error
    return jobs.Workshop(
        settings=settings,
        storage=storage,
        studios=studios,
        courier=Courier(settings, storage, studios),
        detector=detector,
        model_version=version,
    )


def _work(redis_url: str, workshop: jobs.Workshop) -> None:
    """Work until told to stop, through every loss of Redis."""
    queue = make_queue(Redis.from_url(redis_url))
    pause = FIRST_PAUSE_SECONDS
    while True:
        began = time.monotonic()
        if _work_once(queue, workshop):
            return
        if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        try:
            time.sleep(pause)
        except StopRequested:  # the last worker's handler of signals is still there
            return
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _work_once(queue: Queue, workshop: jobs.Workshop) -> bool:
    """Work until told to stop, then return true, or until Redis is lost."""
    worker: KeypointWorker | None = None
    try:
        worker = KeypointWorker(queue)
        with _caretaker(Caretaker(worker, queue, workshop)):
            worker.work()
    except RedisError as error:
        log.error("Redis cannot be reached: %s", error)
    return worker is not None and worker.told_to_stop


class KeypointWorker(SimpleWorker):  # type: ignore[misc]
    """RQ's worker without forks that says during a job that it lives, and lets go when told to."""

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
        """Never: the caretaker does it, also while a job runs."""
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
        if isinstance(exc_info[1], jobs.JobFailed):
            log.warning("%s", exc_info[1])
        elif isinstance(exc_info[1], jobs.Interrupted):
            log.info("%s goes back to the queue", job.id)
        else:
            super().handle_exception(job, *exc_info)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End after the job; a detection that is going on is given up."""
        self.told_to_stop = True
        try:
            super().request_stop(signum, frame)
        except RedisError as error:
            log.warning("Redis cannot be told that this worker ends: %s", error)
        jobs.interrupt()


class Caretaker:
    """What has to be done beside the jobs, by a thread of every worker: see `look_after`."""

    def __init__(self, worker: KeypointWorker, queue: Queue, workshop: jobs.Workshop) -> None:
        self._worker = worker
        self._queue = queue
        self._workshop = workshop
        self._scheduler = RQScheduler(
            [queue], queue.connection, logging_level=logging.WARNING, serializer=JSONSerializer
        )
        self._scheduler.prepare_registries([queue.name])

    def run(self, stop: threading.Event) -> None:
        """Look after everything again and again until told to stop; nothing ends it earlier."""
        while not stop.is_set():
            try:
                self.look_after(stop)
            except (RedisError, SQLAlchemyError) as error:
                log.warning("Tried again soon: %s", str(error).partition("\n")[0])
            except Exception:
                log.exception("Tried again soon")
            stop.wait(CARE_SECONDS)

    def look_after(self, stop: threading.Event) -> None:
        """Bring predictions that are due; in turn with other workers, queue what got lost."""
        while self._workshop.courier.bring_due(DELIVERIES_A_ROUND) and not stop.is_set():
            pass
        connection = self._queue.connection
        if connection.set(SWEEP_LOCK, self._worker.name, nx=True, ex=SWEEP_SECONDS):
            began = time.monotonic()
            self._sweep()
            # With many waiting it takes a while, and must leave most of the time to detection.
            pause = (time.monotonic() - began) / SWEEP_SHARE
            connection.expire(SWEEP_LOCK, math.ceil(max(SWEEP_SECONDS, pause)))

    def _sweep(self) -> None:
        # Jobs of dead workers; those that died between taking a job and starting it; dead workers.
        clean_registries(self._queue)
        self._queue.intermediate_queue.cleanup(self._worker, self._queue)
        clean_worker_registry(self._queue)
        self._scheduler.enqueue_scheduled_jobs()
        missing = enqueue_again(self._queue, self._workshop.settings, self._workshop.storage)
        if missing:
            log.info("Queued %d predictions again whose jobs were lost", missing)


@contextmanager
def _caretaker(caretaker: Caretaker) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=caretaker.run, args=[stop], name="caretaker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        # It may be talking to Label Studio: whoever comes next looks there again.
        thread.join(timeout=CARETAKER_ENDS_WITHIN_SECONDS)
