"""The RQ job of a training: a process of its own, so that it can be ended at any point.

What it uses of memory is given back with it, and one that dies takes no worker along.
"""

import logging
import signal
import sys

from rq.timeouts import JobTimeoutException

from backend.database.connection import Database
from backend.local.processes import end, spawn
from backend.queue.interruption import Interrupted, JobFailed, interruptible
from backend.retries import MOST_TRAINING_ATTEMPTS
from backend.settings import Settings, load_settings
from backend.training.storage import TrainingStorage

log = logging.getLogger(__name__)

GRACE_SECONDS = 3.0


def train(training_id: int) -> None:
    """Train, unless it has ended; what is cut short goes on where it was when a worker is there.

    Raises:
        JobFailed: it takes too long, or its process died too often.
        Interrupted: the worker was told to end.
    """
    settings = load_settings()
    database = Database(settings.database)
    try:
        _train(settings, TrainingStorage(database), training_id)
    finally:
        database.close()


def _train(settings: Settings, trainings: TrainingStorage, training_id: int) -> None:
    training = trainings.begin(training_id)
    if training is None or training.status != "queued":
        return
    about = f"Training {training.id} of project {training.project_uid}"
    if training.attempts > MOST_TRAINING_ATTEMPTS:
        _give_up(
            trainings,
            training_id,
            f"expected to get on, but its process died {MOST_TRAINING_ATTEMPTS} times: it may "
            "lack memory for this network; choose a smaller one with --arch",
        )
    try:
        with interruptible():
            status = _in_a_process(training_id)
    except Interrupted:
        trainings.take_back(training_id)
        log.info("%s goes on when a worker is there", about)
        raise
    except JobTimeoutException:
        _give_up(
            trainings,
            training_id,
            f"expected to be done within TRAINING_TIMEOUT={settings.training_timeout} s, but was "
            "not: raise it and start the training again, it goes on where it was",
        )
    if status != 0:
        log.warning("%s: its process ended with status %d; it goes on soon", about, status)


def _in_a_process(training_id: int) -> int:
    process = spawn(
        [sys.executable, "-m", "backend.training.process", str(training_id)],
        when_parent_dies=signal.SIGKILL,
    )
    try:
        return process.wait()
    finally:
        end(process, grace=GRACE_SECONDS)


def _give_up(trainings: TrainingStorage, training_id: int, reason: str) -> None:
    trainings.fail(training_id, reason)
    raise JobFailed(f"Training {training_id}: {reason}")
