"""The RQ job: fetch, detect, store, deliver; harmless when run twice.

A worker calls `open_workshop` once; what a job needs besides a prediction's id lies there.
"""

import logging
from dataclasses import dataclass

from rq import get_current_job
from rq.timeouts import JobTimeoutException

from backend.database.connection import Database, now
from backend.labelstudio.images import ImageFetchError, Images
from backend.labelstudio.label_config import LabelConfigError, keypoint_control
from backend.labelstudio.projects import LabelStudios, NotDeliverable, ProjectStorage
from backend.labelstudio.regions import RegionError, task_box
from backend.queue.interruption import Interrupted, JobFailed, interruptible, reset_interrupt
from backend.retries import MOST_DETECTION_ATTEMPTS
from backend.settings import Settings
from backend.suggestions.delivery import Courier
from backend.suggestions.detector import CurrentDetector, ModelUnusable
from backend.suggestions.maps import MapStorage, keep_some_maps
from backend.suggestions.records import Prediction, Wanted
from backend.suggestions.storage import PredictionStorage
from model.decoding import UnreadableImage
from model.keypoint import Detection

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workshop:
    """What every job of this process uses."""

    settings: Settings
    database: Database
    studios: LabelStudios
    courier: Courier
    models: CurrentDetector


_workshop: Workshop | None = None


def open_workshop(workshop: Workshop | None) -> None:
    """Give the jobs of this process what they need; None takes it away."""
    global _workshop
    _workshop = workshop
    reset_interrupt()


def predict(prediction_id: int) -> None:
    """Make a prediction, unless it is made, and bring it to Label Studio, unless it is there.

    Raises:
        JobFailed: it cannot be made now, or ever; the database says which.
        Interrupted: the worker was told to end.
    """
    assert _workshop is not None, "open_workshop comes first"
    workshop = _workshop
    row = PredictionStorage(workshop.database).begin(prediction_id)
    if row is None:
        log.warning("There is no prediction %s: the database is another one now", prediction_id)
        return
    if row.status == "queued":
        successor = workshop.models.successor_of(row.model_version)
        if successor is not None:
            _leave_to(successor, workshop, row)
            return
        _make(workshop, row)
    workshop.courier.bring(prediction_id)


def _leave_to(version: str, workshop: Workshop, row: Prediction) -> None:
    """Have the model that answers now make the prediction; a caretaker queues it."""
    wanted = Wanted(row.task_id, row.image_url, row.input_sha256, row.task)
    PredictionStorage(workshop.database).request(
        row.project_uid,
        version,
        [wanted],
        retry_failed_before=now(),
        to_deliver=row.to_deliver,
    )
    PredictionStorage(workshop.database).fail(
        row.id, f"model {version} answers now: it makes the prediction instead"
    )


def _make(workshop: Workshop, row: Prediction) -> None:
    """Detect and store; a failure is stored with its reason, and tried again if it may pass."""
    try:
        with interruptible():
            detection = _detect(workshop, row)
    except ImageFetchError as error:
        _fail(workshop, row, str(error), may_pass=error.retryable)
    except (ModelUnusable, _OtherModel) as error:
        _fail(workshop, row, str(error), may_pass=True)
    except _PERMANENT as error:
        _fail(workshop, row, str(error), may_pass=False)
    except Interrupted:
        PredictionStorage(workshop.database).take_back(row.id)
        _put_first()
        raise
    except JobTimeoutException:
        _fail(
            workshop,
            row,
            f"expected to be done within JOB_TIMEOUT={workshop.settings.job_timeout} s, but was "
            "not: raise it, or choose a lighter model",
            may_pass=False,
        )
    except Exception as error:
        log.exception("Task %s of project %s: unexpected error", row.task_id, row.project_uid)
        _fail(workshop, row, f"{type(error).__name__}: {error}", may_pass=True)
    else:
        PredictionStorage(workshop.database).finish(row.id, detection)
        kept = MapStorage(workshop.database)
        keep_some_maps(kept, row.id, row.model_version, detection.maps)
        log.info(
            "Task %s of project %s: %d keypoints of a %s",
            row.task_id,
            row.project_uid,
            len(detection.keypoints),
            detection.class_name,
        )


def _detect(workshop: Workshop, row: Prediction) -> Detection:
    if row.attempts > MOST_DETECTION_ATTEMPTS:
        raise _TooOften(
            f"expected to be done after {MOST_DETECTION_ATTEMPTS} attempts, but the worker ended "
            "during each of them: it may lack memory for this image or model"
        )
    model = workshop.models.get()
    if row.model_version != model.version:
        raise _OtherModel(
            f"expected a worker with model {row.model_version}, got one with {model.version}: "
            "give web process and workers the same settings, and restart whichever is older"
        )
    project = ProjectStorage(workshop.database).project(row.project_uid)
    assert project is not None, "its foreign key"
    control = keypoint_control(project.label_config or "")
    images = Images(workshop.settings, workshop.studios)
    picture = images.picture(project, row.image_url, row.task_id)
    height, width = picture.shape[:2]
    box = task_box(row.task, control, width, height)
    try:
        return model.detector.detect(picture, box)
    except ValueError as error:
        raise _Refused(str(error)) from error


class _Refused(Exception):
    """The detector will not look at this image or box."""


class _OtherModel(Exception):
    """The worker has another model than the one that was asked for."""


class _TooOften(Exception):
    """Begun too often without an end."""


_PERMANENT = (
    UnreadableImage,
    LabelConfigError,
    RegionError,
    NotDeliverable,
    _Refused,
    _TooOften,
)


def _fail(workshop: Workshop, row: Prediction, reason: str, *, may_pass: bool) -> None:
    """Store why; raise so that RQ tries again where that may help."""
    limit = workshop.settings.job_retries if may_pass else 0
    again = may_pass and PredictionStorage(workshop.database).try_again(row.id, reason, limit=limit)
    if not may_pass:
        PredictionStorage(workshop.database).fail(row.id, reason)
    job = get_current_job()
    if job is not None and not again:
        job.retries_left = 0
    end = "tried again soon" if again else "given up"
    message = f"Task {row.task_id} of project {row.project_uid}: {reason} ({end})"
    raise JobFailed(message) from None


def _put_first() -> None:
    """Have RQ put the job of this moment back to the front of the queue, at once and at no cost."""
    job = get_current_job()
    if job is None:
        return
    left, pauses = job.retries_left or 0, list(job.retry_intervals or [])
    job.retries_left = left + 1
    job.retry_intervals = [*pauses[: len(pauses) - left], 0, *pauses[len(pauses) - left :]]
    job.enqueue_at_front_on_retry = True
