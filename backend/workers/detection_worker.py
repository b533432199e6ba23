"""The detection worker: an RQ worker whose detector stays loaded, with maintenance beside it."""

import logging
import os

import torch
from redis import Redis

from backend.database.connection import Database
from backend.database.prepare import prepare_database
from backend.labelstudio.projects import LabelStudios
from backend.logs import set_up_logging
from backend.queue.steady_worker import WorkerRefused, required_redis_url, work_until_stopped
from backend.settings import Settings
from backend.suggestions import detection_job
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.detector import ActiveDetectors, ModelUnusable
from backend.suggestions.queue import make_queue
from backend.training.registry import ModelRegistry
from backend.workers.maintenance import Maintenance

logger = logging.getLogger(__name__)


def run_worker(settings: Settings) -> None:
    """Run jobs until SIGTERM or Ctrl-C; the job that is running goes back to the queue.

    Raises:
        WorkerRefused, DatabaseUnusable: Redis, model or database is missing; one line each.
    """
    set_up_logging(settings.log_level)
    redis_url = required_redis_url(settings)
    prepare_database(settings)
    context = _job_context(settings, Database(settings.database))
    detection_job.set_job_context(context)
    logger.info("Ready")
    queue = make_queue(Redis.from_url(redis_url))
    maintenance = Maintenance(settings, context.database, context.delivery, queue)
    with maintenance.maintain_verdicts():
        work_until_stopped(queue, maintenance.maintain_queues)
    logger.info("Stopped")


def _job_context(settings: Settings, database: Database) -> detection_job.JobContext:
    """Load the deployment's active model, and collect what the jobs of this process use."""
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // settings.detection_workers))
    studios = LabelStudios(settings)
    try:
        detectors = ActiveDetectors(settings, ModelRegistry(settings, database))
        detectors.get()
    except (OSError, ModelUnusable) as error:
        raise WorkerRefused(f"the worker cannot start without its model: {error}") from error
    return detection_job.JobContext(
        settings=settings,
        database=database,
        studios=studios,
        delivery=DeliveryService(settings, database, studios),
        detectors=detectors,
    )
