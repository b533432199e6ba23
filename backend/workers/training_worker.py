"""The training worker. It loads no torch: each training runs in a process of its own."""

import logging
import os
from contextlib import nullcontext

from redis import Redis

from backend.database.prepare import prepare_database
from backend.logs import set_up_logging
from backend.private_files import create_files_privately
from backend.queue.interruption import reset_interrupt
from backend.queue.steady_worker import required_redis_url, work_until_stopped
from backend.settings import Settings
from backend.training.queue import make_training_queue

logger = logging.getLogger(__name__)

NICENESS = 15  # predictions come first


def run_trainer(settings: Settings) -> None:
    """Run trainings until SIGTERM or Ctrl-C; the next trainer continues the one that is running.

    Raises:
        WorkerRefused, DatabaseUnusable: Redis or database is missing; one line each.
    """
    create_files_privately()
    set_up_logging(settings.log_level, settings.log_format, settings.secrets())
    redis_url = required_redis_url(settings)
    prepare_database(settings)
    reset_interrupt()
    os.nice(NICENESS)
    logger.info("Ready to train")
    # The detection workers' maintenance covers the queue of trainings as well.
    work_until_stopped([make_training_queue(Redis.from_url(redis_url))], lambda _: nullcontext())
    logger.info("Stopped")
