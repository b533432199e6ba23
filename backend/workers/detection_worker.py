"""The worker process: RQ's worker, with a detector that stays loaded and a caretaker beside it."""

import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database
from backend.database.prepare import prepare_database
from backend.labelstudio.projects import LabelStudios
from backend.logs import set_up_logging
from backend.queue.steady_worker import (
    SteadyWorker,
    WorkerRefused,
    clear_up,
    named_redis,
    work_until_told,
)
from backend.settings import Settings
from backend.suggestions import detection_job
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.detector import ActiveDetector, ModelUnusable
from backend.suggestions.queue import enqueue_again, make_queue
from backend.training.queue import enqueue_trainings_again, make_training_queue
from backend.training.registry import ModelRegistry
from backend.workers.bookkeeper import bookkeeper

log = logging.getLogger(__name__)

CARE_SECONDS = 1.0
SWEEP_SECONDS = 5
SWEEP_SHARE = 0.05  # of the time, at most
SWEEP_LOCK = "prelabelling:sweep"
DELIVERIES_A_ROUND = 20
CARETAKER_ENDS_WITHIN_SECONDS = 3.0


def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or Ctrl-C; a job that is going on goes back to the queue.

    Raises:
        WorkerRefused, DatabaseUnusable: Redis, model or database cannot be had; one line each.
    """
    set_up_logging(settings.log_level)
    redis_url = named_redis(settings)
    prepare_database(settings)
    context = _job_context(settings, Database(settings.database))
    detection_job.set_job_context(context)
    log.info("Ready")
    queue = make_queue(Redis.from_url(redis_url))
    with bookkeeper(settings, context.database):
        work_until_told(queue, lambda worker: _caretaker(Caretaker(worker, queue, context)))
    log.info("Ended")


def _job_context(settings: Settings, database: Database) -> detection_job.JobContext:
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // settings.detection_workers))
    studios = LabelStudios(settings)
    try:
        detector = ActiveDetector(settings, ModelRegistry(settings, database))
        detector.get()
    except (OSError, ModelUnusable) as error:
        raise WorkerRefused(f"the worker cannot start without its model: {error}") from error
    return detection_job.JobContext(
        settings=settings,
        database=database,
        studios=studios,
        delivery=DeliveryService(settings, database, studios),
        detector=detector,
    )


class Caretaker:
    """What has to be done beside the jobs, by a thread of every worker: see `look_after`."""

    def __init__(
        self, worker: SteadyWorker, queue: Queue, context: detection_job.JobContext
    ) -> None:
        self._worker = worker
        self._queue = queue
        self._trainings = make_training_queue(queue.connection)
        self._context = context
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
        while self._context.delivery.deliver_due(DELIVERIES_A_ROUND) and not stop.is_set():
            pass
        connection = self._queue.connection
        if connection.set(SWEEP_LOCK, self._worker.name, nx=True, ex=SWEEP_SECONDS):
            began = time.monotonic()
            self._sweep()
            # With many waiting it takes a while, and must leave most of the time to detection.
            pause = (time.monotonic() - began) / SWEEP_SHARE
            connection.expire(SWEEP_LOCK, math.ceil(max(SWEEP_SECONDS, pause)))

    def _sweep(self) -> None:
        for queue in (self._queue, self._trainings):
            clear_up(queue, self._worker)
        self._scheduler.enqueue_scheduled_jobs()
        missing = enqueue_again(self._queue, self._context.settings, self._context.database)
        if missing:
            log.info("Queued %d predictions again whose jobs were lost", missing)
        missing = enqueue_trainings_again(
            self._trainings, self._context.settings, self._context.database
        )
        if missing:
            log.info("Queued %d trainings again whose jobs were lost", missing)


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
