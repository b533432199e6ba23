"""The RQ job of a prediction: fetch the image, detect, store, deliver. Harmless if it runs twice.

A job gets the id of its prediction. Everything else that it needs is in the `JobContext`, which a
worker process sets once.
"""

import logging

from rq import get_current_job
from rq.timeouts import JobTimeoutException

from backend.durations.recorder import measured_stage, record_stage
from backend.labelstudio.errors import cause_of, lies_outside
from backend.labelstudio.projects import Project
from backend.learning.backbones import BackboneUnusable
from backend.learning.records import base_of
from backend.learning.step_storage import StepChanged
from backend.logs import add_to_log_context
from backend.outages.job_failures import fail_job, postpone_job, retry_job, storage_needed
from backend.outages.records import Cause
from backend.queue.interruption import Interrupted, interruptible, reset_interrupt
from backend.queue.row_jobs import requeue_at_front
from backend.retries import MOST_DETECTION_ATTEMPTS
from backend.suggestions.detection import OF_THE_IMAGE, Found, detect_in
from backend.suggestions.detector import ModelUnusable
from backend.suggestions.job_context import JobContext
from backend.suggestions.maps import keep_first_maps
from backend.suggestions.records import Prediction
from backend.suggestions.version_storage import change_version
from backend.training.registry import Model

logger = logging.getLogger(__name__)

_context: JobContext | None = None


def set_job_context(context: JobContext | None) -> None:
    """Set what the jobs of this process use; None removes it."""
    global _context
    _context = context
    reset_interrupt()


def predict(prediction_id: int) -> None:
    """Make a prediction and deliver it, skipping the steps that are done already.

    Raises:
        JobFailed: the prediction cannot be made now, or ever; the database says which.
        Interrupted: the worker has to stop.
    """
    assert _context is not None, "set_job_context comes first"
    with storage_needed(f"Prediction {prediction_id}"):
        _predict(_context, prediction_id)


def _predict(context: JobContext, prediction_id: int) -> None:
    row = context.predictions.start_attempt(prediction_id)
    if row is None:
        logger.warning(
            "There is no prediction %s: the job is from before the database was replaced",
            prediction_id,
        )
        return
    add_to_log_context(request_id=row.request_id)
    if row.status == "queued":
        if row.attempts == 1 and row.started_at:
            record_stage("queue", (row.started_at - row.asked_at).total_seconds())
        project = context.projects.project(row.project_uid)
        assert project is not None, "guaranteed by the foreign key"
        model = context.detectors.active(project)
        current = _in_current_version(context, row, model)
        if current is None or not _make(context, current, project, model):
            return
    context.delivery.deliver(row.id)


def _in_current_version(context: JobContext, row: Prediction, active: Model) -> Prediction | None:
    """Return a prediction as the project's current version has to make it.

    Another model may be active since it was requested, or the project may have learnt or forgotten
    something.

    Returns:
        None if the current version has a row of its own for it, which workers queue in its turn.
    """
    base = base_of(row.model_version)
    replaced = context.detectors.is_replaced(base, active)
    current = context.steps.version(row.project_uid, active.version if replaced else base)
    if current == row.model_version:
        return row
    return change_version(context.database, row, current)


def _make(context: JobContext, row: Prediction, project: Project, model: Model) -> bool:
    """Detect and store.

    Args:
        model: the active one of the project.

    Returns:
        Whether it is done; False if it has to wait for something outside of the task.

    Raises:
        JobFailed: the task is given up, or tried again for an unknown reason.
        Interrupted: the worker has to stop.
    """
    about = f"Task {row.task_id} of project {row.project_uid}"
    try:
        with interruptible():
            found = _detect(context, row, project, model)
    except Interrupted:
        context.predictions.undo_attempt(row.id)
        requeue_at_front(get_current_job())
        raise
    except JobTimeoutException:
        limit = context.settings.job_timeout
        reason = (
            f"expected to finish within JOB_TIMEOUT={limit} s, but did not: raise it, or choose a "
            "lighter model"
        )
        fail_job(context.predictions, row.id, reason, about=about)
    except Exception as error:
        _end(context, row, error, about)
        return False
    with measured_stage("write"):
        context.predictions.finish(
            row.id, found.detection, found.costs, found.objects, found.images
        )
        if found.detection is not None:
            keep_first_maps(context.maps, row.id, row.model_version, found.detection)
    for detection in found.detections:
        logger.info(
            "%s: %d keypoints of class %s, %d landmarks",
            about,
            len(detection.keypoints),
            detection.class_name,
            len(detection.named),
        )
    return True


def _end(context: JobContext, row: Prediction, error: Exception, about: str) -> None:
    """Let a row wait if the failure lies outside of its task, and give it up otherwise."""
    rows, settings = context.predictions, context.settings
    if isinstance(error, _OF_THIS_WORKER):
        postpone_job(rows, row.id, Cause(str(error)), about=about, settings=settings)
    elif lies_outside(error):
        postpone_job(rows, row.id, cause_of(error), about=about, settings=settings)
    elif isinstance(error, _PERMANENT):
        fail_job(rows, row.id, str(error), about=about)
    else:
        logger.error("%s: unexpected error", about, exc_info=error)
        reason = f"{type(error).__name__}: {error}"
        retry_job(rows, row.id, reason, about=about, settings=settings)


def _detect(context: JobContext, row: Prediction, project: Project, model: Model) -> Found:
    if row.attempts > MOST_DETECTION_ATTEMPTS:
        raise _TooManyAttempts(
            f"expected to finish within {MOST_DETECTION_ATTEMPTS} attempts, but the worker ended "
            "during each of them: it may lack memory for this image or model"
        )
    loaded = context.detectors.of(model, row.project_uid)
    if base_of(row.model_version) != loaded.version:
        raise _OtherModel(
            f"expected a worker with model {row.model_version}, got one with {loaded.version}: "
            "give web process and workers the same settings, and restart whichever is older"
        )
    return detect_in(context, row, loaded, project)


class _OtherModel(Exception):
    """The worker has another model than the prediction requires."""


class _TooManyAttempts(Exception):
    """The job was started too often without ending."""


# A model that this worker cannot load yet, or has no longer.
_OF_THIS_WORKER = (ModelUnusable, BackboneUnusable, StepChanged, _OtherModel)
_PERMANENT = (*OF_THE_IMAGE, _TooManyAttempts)
