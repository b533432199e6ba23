"""The RQ job of an example: fetch the image, extract its features, store them.

A job gets the id of its example, and is harmless if it runs twice. Everything else that it needs is
in the `LearningContext`, which a worker process sets once.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rq import get_current_job
from rq.timeouts import JobTimeoutException

from backend.labelstudio.errors import cause_of, lies_outside
from backend.labelstudio.images import ImageFetchError, Images
from backend.labelstudio.projects import NotDeliverable, ProjectStorage
from backend.learning.backbones import BackboneOf, BackboneUnusable
from backend.learning.first_look import OtherImage, completed, expect_same_image, scaled_box
from backend.learning.looks import describe_example
from backend.learning.named_points import NamedPoints
from backend.learning.records import Described, Example
from backend.learning.step_storage import StepChanged, StepStorage
from backend.learning.storage import ExampleStorage
from backend.outages.job_failures import fail_job, postpone_job, retry_job, storage_needed
from backend.outages.records import Cause
from backend.queue.interruption import Interrupted, interruptible
from backend.queue.row_jobs import requeue_at_front
from backend.queue.wake import wake
from backend.retries import MOST_DETECTION_ATTEMPTS
from backend.settings import Settings
from model.decoding import UnreadableImage
from model.keypoint import Box, Detection

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LearningContext:
    """Services and settings that every learning job of this process uses.

    Attributes:
        look: detects with the model of a project, given its uid, a picture and a box.
    """

    settings: Settings
    examples: ExampleStorage
    steps: StepStorage
    projects: ProjectStorage
    images: Images
    named_points: NamedPoints
    backbone_of: BackboneOf
    look: Callable[[str, NDArray[np.uint8], Box | None], Detection]


_context: LearningContext | None = None


def set_learning_context(context: LearningContext | None) -> None:
    """Set what the jobs of this process use; None removes it."""
    global _context
    _context = context


def learn(example_id: int) -> None:
    """Extract the features of an example, unless that is done or the example was forgotten.

    Raises:
        JobFailed: they cannot be extracted now, or ever; the database says which.
        Interrupted: the worker has to stop.
    """
    assert _context is not None, "set_learning_context comes first"
    with storage_needed(f"Example {example_id}"):
        _learn(_context, example_id)


def _learn(context: LearningContext, example_id: int) -> None:
    example = context.examples.start_attempt(example_id)
    if example is None or example.status != "waiting":
        return
    try:
        with interruptible():
            found, key, described = _extract(context, example)
    except Interrupted:
        context.examples.undo_attempt(example.id)
        requeue_at_front(get_current_job())
        raise
    except JobTimeoutException:
        limit = context.settings.job_timeout
        reason = (
            f"expected to finish within JOB_TIMEOUT={limit} s, but did not: raise it, or choose a "
            "lighter model"
        )
        fail_job(context.examples, example.id, reason, about=_name(example))
    except Exception as error:
        _end(context, example, error)
    else:
        if context.examples.finish(found, key, described):
            logger.info("%s: learnt %d points", _name(example), len(example.points))
            job = get_current_job()
            if job is not None:  # there may be a step, whose next tasks are to be requested
                wake(job.connection)


def _end(context: LearningContext, example: Example, error: Exception) -> None:
    """Let an example wait if the failure lies outside of it, and give it up otherwise."""
    rows, settings, about = context.examples, context.settings, _name(example)
    if isinstance(error, BackboneUnusable | StepChanged):
        postpone_job(rows, example.id, Cause(str(error)), about=about, settings=settings)
    elif lies_outside(error):
        postpone_job(rows, example.id, cause_of(error), about=about, settings=settings)
    elif isinstance(error, _PERMANENT):
        fail_job(rows, example.id, str(error), about=about)
    else:
        logger.error("%s: unexpected error", about, exc_info=error)
        reason = f"{type(error).__name__}: {error}"
        retry_job(rows, example.id, reason, about=about, settings=settings)


def _extract(context: LearningContext, example: Example) -> tuple[Example, str, Described]:
    """Return the example in full, the key of the backbone, and what it sees."""
    if example.attempts > MOST_DETECTION_ATTEMPTS:
        raise _TooManyAttempts(
            f"expected to finish within {MOST_DETECTION_ATTEMPTS} attempts, but the worker ended "
            "during each of them: it may lack memory for this image or model"
        )
    project = context.projects.project(example.project_uid)
    assert project is not None, "guaranteed: its configuration was read to make the example"
    backbone = context.backbone_of(example.project_uid)
    extractor = backbone.extractor
    context.steps.adopt(example.project_uid, backbone.version, extractor.key)
    picture = context.images.picture(project, example.image_url, example.task_id)
    height, width = picture.shape[:2]
    expect_same_image(example, width, height)
    if example.drawn is not None:
        example = completed(example, _look(context, example, picture))
    points = list(example.points.values())
    region = partial(context.named_points.current_region, backbone, example.project_uid)
    return example, extractor.key, describe_example(extractor, picture, example.box, points, region)


def _look(context: LearningContext, example: Example, picture: NDArray[np.uint8]) -> Detection:
    """Return what the detector finds where a prediction of the task would have looked."""
    height, width = picture.shape[:2]
    box = scaled_box(example, width, height) if not example.has_rectangle else None
    try:
        return context.look(example.project_uid, picture, box)
    except ValueError as error:
        raise _Refused(str(error)) from error


class _Refused(Exception):
    """The detector rejects this image."""


class _TooManyAttempts(Exception):
    """The job was started too often without ending."""


_PERMANENT = (
    ImageFetchError,
    UnreadableImage,
    NotDeliverable,
    OtherImage,
    _Refused,
    _TooManyAttempts,
)


def _name(example: Example) -> str:
    return (
        f"Task {example.task_id} of project {example.project_uid}, "
        f"annotation {example.annotation_id}"
    )
