"""The trainer: the worker of the queue of trainings. It loads no torch: each training does."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis

from backend.database.prepare import prepare_database
from backend.logs import set_up_logging
from backend.queue.interruption import begin_anew
from backend.queue.steady_worker import SteadyWorker, named_redis, work_until_told
from backend.settings import Settings
from backend.training.queue import make_training_queue

log = logging.getLogger(__name__)

NICENESS = 15  # predictions come first


def run_trainer(settings: Settings) -> None:
    """Work until SIGTERM or Ctrl-C; a training that is going on is taken up by the next trainer.

    Raises:
        WorkerRefused, DatabaseUnusable: Redis or database cannot be had; one line each.
    """
    set_up_logging(settings.log_level)
    redis_url = named_redis(settings)
    prepare_database(settings)
    begin_anew()
    os.nice(NICENESS)
    log.info("Ready to train")
    work_until_told(make_training_queue(Redis.from_url(redis_url)), _alone)
    log.info("Ended")


@contextmanager
def _alone(_: SteadyWorker) -> Iterator[None]:
    """The caretakers of the other workers look after this one's jobs too."""
    yield
