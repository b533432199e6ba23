"""The detection worker: an RQ worker whose detector stays loaded, with maintenance beside it."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from redis import Redis
from rq import Queue

from backend.database.connection import Database
from backend.database.prepare import prepare_database
from backend.durations.recorder import store_in_background
from backend.labelstudio.projects import LabelStudios
from backend.learning import learn_job
from backend.learning.queue import make_backlog_queue, make_learning_queue
from backend.learning.storage import ExampleStorage
from backend.learning.versions import SuggestionVersions
from backend.logs import set_up_logging
from backend.outages.breaker import SharedBreaker
from backend.pauses import exempt_from_collections
from backend.private_files import create_files_privately
from backend.queue.steady_worker import (
    SteadyWorker,
    WorkerRefused,
    required_redis_url,
    work_until_stopped,
)
from backend.settings import Settings
from backend.suggestions import detection_job, interactive_job
from backend.suggestions.ahead import NextTasks
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.delivery_threads import DeliveryThreads
from backend.suggestions.detector import ActiveDetectors, ModelUnusable
from backend.suggestions.interactive_queue import make_interactive_queue
from backend.suggestions.interactive_storage import InteractiveStorage
from backend.suggestions.job_context import JobContext
from backend.suggestions.queue import make_opened_queue, make_queue
from backend.training.registry import ModelRegistry
from backend.workers.allocator import share_arenas
from backend.workers.cards import announced
from backend.workers.maintenance import Maintenance

logger = logging.getLogger(__name__)

# A detection is hundreds of short operations. After each, it would wait for a thread that delivers
# or fetches for Python's standard 5 ms.
SWITCHES_AFTER_SECONDS = 0.0005


def run_worker(settings: Settings) -> None:
    """Run jobs until SIGTERM or Ctrl-C; the job that is running goes back to the queue.

    Raises:
        WorkerRefused, DatabaseUnusable: Redis, model or database is missing; one line each.
    """
    create_files_privately()
    share_arenas()
    set_up_logging(settings.log_level, settings.log_format, settings.secrets())
    redis_url = required_redis_url(settings)
    prepare_database(settings)
    database = Database(settings.database)
    try:
        models = ModelRegistry(settings, database)
        studios = LabelStudios(settings, SharedBreaker(database))
        deliveries = DeliveryThreads(DeliveryService(settings, database, studios))
        queue = make_queue(Redis.from_url(redis_url))
        context = _job_context(settings, database, models, studios, deliveries, queue)
    except (OSError, ModelUnusable) as error:
        raise WorkerRefused(f"the worker cannot start without its model: {error}") from error
    detection_job.set_job_context(context)
    learn_job.set_learning_context(_learning_context(context))
    interactive_job.set_interactive_context(_interactive_context(context))
    exempt_from_collections()
    logger.info("Ready")
    versions = SuggestionVersions(settings, database, models)
    next_tasks = NextTasks(settings, database, context.studios, queue, versions.current)
    maintenance = Maintenance(settings, database, deliveries, next_tasks, queue)
    store_in_background(database)
    device = context.detectors.get().detector.device
    with (
        maintenance.maintain_verdicts(),
        announced(queue.connection, database, models, device),
    ):

        @contextmanager
        def maintained(worker: SteadyWorker) -> Iterator[None]:
            worker.before_dequeue = context.next_images.put_first
            with maintenance.maintain_queues(worker):
                yield

        work_until_stopped(_queues(queue), maintained)
    logger.info("Stopped")


def _queues(queue: Queue) -> list[Queue]:
    """Return the queues that a worker takes jobs from; from each while those before it are empty.

    Args:
        queue: of batches.
    """
    connection = queue.connection
    return [
        make_interactive_queue(connection),  # somebody is drawing
        make_learning_queue(connection),  # what was just corrected improves what is made next
        make_opened_queue(connection),  # somebody looks at an empty image
        queue,
        make_backlog_queue(connection),
    ]


def _job_context(
    settings: Settings,
    database: Database,
    models: ModelRegistry,
    studios: LabelStudios,
    deliveries: DeliveryThreads,
    queue: Queue,
) -> JobContext:
    """Load the deployment's active model, and collect what the jobs of this process use.

    Raises:
        ModelUnusable: it cannot be loaded.
    """
    set_up_threads(settings)
    detectors = ActiveDetectors(settings, models)
    detectors.get()
    return JobContext(
        settings=settings,
        database=database,
        studios=studios,
        delivery=deliveries,
        detectors=detectors,
        queue=queue,
    )


def set_up_threads(settings: Settings) -> None:
    """Set how many threads torch uses, and how soon those of Python take turns."""
    torch.set_num_threads(settings.detection_threads)
    sys.setswitchinterval(SWITCHES_AFTER_SECONDS)


def _learning_context(context: JobContext) -> learn_job.LearningContext:
    """Collect what the learning jobs of this process use; they share networks and fits."""
    examples = ExampleStorage(context.database, limit=context.settings.learn_examples)
    return learn_job.LearningContext(
        settings=context.settings,
        examples=examples,
        steps=context.steps,
        projects=context.projects,
        images=context.images,
        named_points=context.named_points,
        backbone_of=context.backbone_of,
        look=context.look,
    )


def _interactive_context(
    context: JobContext,
) -> interactive_job.InteractiveContext:
    """Collect what the interactive jobs of this process use; they share networks and fits."""
    return interactive_job.InteractiveContext(
        settings=context.settings,
        answers=InteractiveStorage(context.database),
        predictions=context.predictions,
        projects=context.projects,
        images=context.images,
        detectors=context.detectors,
        named_points=context.named_points,
        backbone_of=context.backbone_of,
    )
