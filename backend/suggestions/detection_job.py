"""The RQ job of a prediction: fetch the image, detect, store, deliver. Harmless if it runs twice.

A job gets the id of its prediction. Everything else that it needs is in the `JobContext`, which a
worker process sets once.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rq import get_current_job
from rq.timeouts import JobTimeoutException

from backend.database.connection import now
from backend.durations.recorder import measured_stage, record_stage
from backend.labelstudio.errors import cause_of, lies_outside
from backend.labelstudio.images import ImageFetchError
from backend.labelstudio.label_config import (
    KeypointControl,
    LabelConfigError,
    keypoint_control,
)
from backend.labelstudio.projects import NotDeliverable, Project
from backend.labelstudio.rectangles import rectangles_of
from backend.labelstudio.regions import RegionError, task_box
from backend.labelstudio.schemas import BoxSources
from backend.labelstudio.shapes import read
from backend.learning.backbones import BackboneUnusable
from backend.learning.looks import looks_at
from backend.learning.named_points import Landmarks
from backend.learning.records import base_of, searched_part
from backend.learning.step_storage import StepChanged
from backend.logs import add_to_log_context
from backend.outages.job_failures import fail_job, postpone_job, retry_job, storage_needed
from backend.outages.records import Cause
from backend.queue.interruption import Interrupted, interruptible, reset_interrupt
from backend.queue.row_jobs import requeue_at_front
from backend.retries import MOST_DETECTION_ATTEMPTS
from backend.suggestions.detector import LoadedDetector, ModelUnusable
from backend.suggestions.job_context import JobContext
from backend.suggestions.listed import control_in_task
from backend.suggestions.maps import keep_first_maps
from backend.suggestions.objects import StoredObject
from backend.suggestions.records import Prediction, Wanted
from backend.suggestions.several_objects import landmarks_of_each
from backend.suggestions.shown import shows_unnamed
from backend.suggestions.unnamed_points import detect_in_others
from model.decoding import UnreadableImage
from model.keypoint import Box, Detection

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
        successor = _successor_of(context, row)
        if successor is not None:
            _request_from_active_model(context, row, successor)
            return
        if not _make(context, row):
            return
    context.delivery.deliver(row.id)


def _successor_of(context: JobContext, row: Prediction) -> str | None:
    """Return the version that has replaced that of a prediction; None if it is the current one.

    Another model may be active, or the project may have learnt or forgotten something.
    """
    base = base_of(row.model_version)
    active = context.detectors.successor_of(base, row.project_uid) or base
    current = context.steps.version(row.project_uid, active)
    return None if current == row.model_version else current


def _request_from_active_model(context: JobContext, row: Prediction, version: str) -> None:
    """Request the prediction of the project's current version; workers queue it in its turn."""
    wanted = Wanted(row.task_id, row.image_url, row.input_sha256, row.task)
    context.predictions.request(
        row.project_uid,
        version,
        [wanted],
        retry_failed_before=now(),
        to_deliver=row.to_deliver,
        opened=row.opened_at is not None,
    )
    context.predictions.fail(
        row.id, f"{version} is the current version now: it makes the prediction instead"
    )


def _make(context: JobContext, row: Prediction) -> bool:
    """Detect and store.

    Returns:
        Whether it is done; False if it has to wait for something outside of the task.

    Raises:
        JobFailed: the task is given up, or tried again for an unknown reason.
        Interrupted: the worker has to stop.
    """
    about = f"Task {row.task_id} of project {row.project_uid}"
    try:
        with interruptible():
            detection, costs, objects = _detect(context, row)
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
        context.predictions.finish(row.id, detection, costs, objects)
        keep_first_maps(context.maps, row.id, row.model_version, detection)
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


def _detect(
    context: JobContext, row: Prediction
) -> tuple[Detection, Mapping[str, float], Sequence[StoredObject]]:
    """Return a detection with its landmarks, the costs by which these are shown, the objects."""
    if row.attempts > MOST_DETECTION_ATTEMPTS:
        raise _TooManyAttempts(
            f"expected to finish within {MOST_DETECTION_ATTEMPTS} attempts, but the worker ended "
            "during each of them: it may lack memory for this image or model"
        )
    model = context.detectors.get(row.project_uid)
    if base_of(row.model_version) != model.version:
        raise _OtherModel(
            f"expected a worker with model {row.model_version}, got one with {model.version}: "
            "give web process and workers the same settings, and restart whichever is older"
        )
    project = context.projects.project(row.project_uid)
    assert project is not None, "guaranteed by the foreign key"
    with measured_stage("fetch"):
        content = context.next_images.content(project, row)
    with measured_stage("decode"):
        image = context.images.decode(content)
    with measured_stage("detect"):
        return detect_on(context, row, model, project, image)


def detect_on(
    context: JobContext,
    row: Prediction,
    model: LoadedDetector,
    project: Project,
    image: NDArray[np.uint8],
) -> tuple[Detection, Mapping[str, float], Sequence[StoredObject]]:
    """Detect on the image of a prediction.

    Args:
        image: (H, W, 3) uint8, RGB, upright.

    Returns:
        The detection with its landmarks, the costs by which these are shown, and the objects.

    Raises:
        Refused: the detector rejects the image or the box.
        StepChanged: the project has learnt something meanwhile.
    """
    control = control_in_task(keypoint_control(project.label_config or ""), row.task)
    height, width = image.shape[:2]
    box = task_box(row.task, control, width, height)
    try:
        detection = model.detector.detect(image, box)
    except ValueError as error:
        raise Refused(str(error)) from error
    rectangles = rectangles_of(read(BoxSources, row.task), control, width, height)
    boxes: list[Box | None] = [each.box for each in rectangles] or [None]
    find = partial(_landmarks, context, row, model, control, image, searched_part(detection))
    landmarks = landmarks_of_each(find, boxes)
    counted = zip(rectangles, landmarks.counts, strict=False)
    objects = [StoredObject(rectangle, count) for rectangle, count in counted]
    suggest = project.settings.suggest or context.settings.suggest
    if rectangles and shows_unnamed(suggest, landmarks.points):
        detect = partial(model.detector.detect, image)
        detection = detect_in_others(detect, detection, [each.box for each in rectangles])
    return replace(detection, named=landmarks.points), landmarks.costs, objects


def _landmarks(
    context: JobContext,
    row: Prediction,
    model: LoadedDetector,
    control: KeypointControl,
    image: NDArray[np.uint8],
    searched: Box | None,
    rectangle: Box | None,
) -> Landmarks:
    """Return the landmarks that the project has learnt, of one object; see `Looks`."""
    backbone = context.backbone_in(model)
    looks = looks_at(backbone.extractor, image, rectangle, searched)
    return context.named_points.find(
        backbone, row.project_uid, row.model_version, looks, control.labels
    )


class Refused(Exception):
    """The detector rejects this image or box."""


class _OtherModel(Exception):
    """The worker has another model than the prediction requires."""


class _TooManyAttempts(Exception):
    """The job was started too often without ending."""


# A model that this worker cannot load yet, or has no longer.
_OF_THIS_WORKER = (ModelUnusable, BackboneUnusable, StepChanged, _OtherModel)
_PERMANENT = (
    ImageFetchError,
    UnreadableImage,
    LabelConfigError,
    RegionError,
    NotDeliverable,
    Refused,
    _TooManyAttempts,
)
