"""The RQ job of a training, which runs in a child process so that it can be stopped at any point.

Its memory is freed with the process, and a crash does not take the worker down.
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

logger = logging.getLogger(__name__)

GRACE_SECONDS = 3.0


def train(training_id: int) -> None:
    """Run a training unless it has ended; a later job resumes one that was interrupted.

    Raises:
        JobFailed: it takes too long, or its process died too often.
        Interrupted: the worker has to stop.
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
    name = f"Training {training.id} of project {training.project_uid}"
    if training.attempts > MOST_TRAINING_ATTEMPTS:
        _fail(
            trainings,
            training_id,
            f"expected to make progress, but its process died {MOST_TRAINING_ATTEMPTS} times: "
            "there may be too little memory for this network; choose a smaller one with --arch",
        )
    try:
        with interruptible():
            status = _run_process(training_id)
    except Interrupted:
        trainings.undo_begin(training_id)
        logger.info("%s was interrupted; a trainer resumes it", name)
        raise
    except JobTimeoutException:
        _fail(
            trainings,
            training_id,
            f"expected to finish within TRAINING_TIMEOUT={settings.training_timeout} s, but did "
            "not: raise it and start the training again, which resumes where it stopped",
        )
    if status != 0:
        logger.warning("%s: its process ended with status %d; it is resumed soon", name, status)


def _run_process(training_id: int) -> int:
    process = spawn(
        [sys.executable, "-m", "backend.training.process", str(training_id)],
        when_parent_dies=signal.SIGKILL,
    )
    try:
        return process.wait()
    finally:
        end(process, grace=GRACE_SECONDS)


def _fail(trainings: TrainingStorage, training_id: int, reason: str) -> None:
    trainings.fail(training_id, reason)
    raise JobFailed(f"Training {training_id}: {reason}")
