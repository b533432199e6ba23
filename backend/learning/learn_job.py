"""The RQ job of an example: fetch the image, extract its features, store them.

A job gets the id of its example, and is harmless if it runs twice. Everything else that it needs is
in the `LearningContext`, which a worker process sets once.
"""

import logging
from dataclasses import dataclass

from rq import get_current_job
from rq.timeouts import JobTimeoutException

from backend.labelstudio.images import ImageFetchError, Images
from backend.labelstudio.projects import NotDeliverable, ProjectStorage
from backend.learning.backbones import BackboneOf, BackboneUnusable
from backend.learning.records import Example
from backend.learning.step_storage import StepStorage
from backend.learning.storage import ExampleStorage
from backend.queue.interruption import Interrupted, JobFailed, interruptible
from backend.queue.row_jobs import requeue_at_front
from backend.retries import MOST_DETECTION_ATTEMPTS
from backend.settings import Settings
from model.decoding import UnreadableImage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LearningContext:
    """Services and settings that every learning job of this process uses."""

    settings: Settings
    examples: ExampleStorage
    steps: StepStorage
    projects: ProjectStorage
    images: Images
    backbone_of: BackboneOf


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
    context = _context
    example = context.examples.start_attempt(example_id)
    if example is None or example.status != "waiting":
        return
    try:
        with interruptible():
            key, features = _extract(context, example)
    except ImageFetchError as error:
        _fail(context, example, str(error), may_pass=error.retryable)
    except BackboneUnusable as error:
        _fail(context, example, str(error), may_pass=True)
    except (UnreadableImage, NotDeliverable, _OtherImage, _TooManyAttempts) as error:
        _fail(context, example, str(error), may_pass=False)
    except Interrupted:
        context.examples.undo_attempt(example.id)
        requeue_at_front(get_current_job())
        raise
    except JobTimeoutException:
        limit = context.settings.job_timeout
        _fail(
            context,
            example,
            f"expected to finish within JOB_TIMEOUT={limit} s, but did not: raise it, or choose a "
            "lighter model",
            may_pass=False,
        )
    except Exception as error:
        logger.exception("%s: unexpected error", _name(example))
        _fail(context, example, f"{type(error).__name__}: {error}", may_pass=True)
    else:
        if context.examples.finish(example, key, features):
            logger.info("%s: learnt %d points", _name(example), len(example.points))


def _extract(context: LearningContext, example: Example) -> tuple[str, bytes]:
    """Return the key of the backbone, and the features that it makes of the example."""
    if example.attempts > MOST_DETECTION_ATTEMPTS:
        raise _TooManyAttempts(
            f"expected to finish within {MOST_DETECTION_ATTEMPTS} attempts, but the worker ended "
            "during each of them: it may lack memory for this image or model"
        )
    project = context.projects.project(example.project_uid)
    assert project is not None, "guaranteed by the prediction that the annotation is compared with"
    backbone = context.backbone_of(example.project_uid)
    extractor = backbone.extractor
    context.steps.adopt(example.project_uid, backbone.version, extractor.key)
    picture = context.images.picture(project, example.image_url, example.task_id)
    height, width = picture.shape[:2]
    if (width, height) != (example.width, example.height):
        raise _OtherImage(
            f"expected an image of {example.width:g} × {example.height:g} px, as when it was "
            f"annotated, got {width} × {height}: the points would lie elsewhere on it"
        )
    return extractor.key, extractor.extract(picture, example.box).to_bytes()


class _OtherImage(Exception):
    """The address has another image than the annotator saw."""


class _TooManyAttempts(Exception):
    """The job was started too often without ending."""


def _fail(context: LearningContext, example: Example, reason: str, *, may_pass: bool) -> None:
    """Store a failure, and raise `JobFailed` so that RQ retries the job if that may help."""
    if may_pass:
        limit = context.settings.job_retries
        retry = context.examples.record_failure(example.id, reason, limit=limit)
    else:
        retry = False
        context.examples.fail(example.id, reason)
    job = get_current_job()
    if job is not None and not retry:
        job.retries_left = 0
    outcome = "tried again soon" if retry else "given up"
    raise JobFailed(f"{_name(example)} cannot be learnt: {reason} ({outcome})") from None


def _name(example: Example) -> str:
    return (
        f"Task {example.task_id} of project {example.project_uid}, "
        f"annotation {example.annotation_id}"
    )
