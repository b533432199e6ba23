"""The RQ job of an interactive answer: find the other points of an object.

A job gets the id of its answer. Everything else that it needs is in the `InteractiveContext`, which
a worker process sets once.
"""

import logging
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from math import hypot

import numpy as np
from numpy.typing import NDArray

from backend.database.connection import now
from backend.labelstudio.images import ImageFetchError, Images
from backend.labelstudio.label_config import LabelConfigError, keypoint_control
from backend.labelstudio.projects import NotDeliverable, Project, ProjectStorage
from backend.learning.backbones import Backbone, BackboneOf, BackboneUnusable
from backend.learning.named_points import NamedPoints
from backend.learning.records import Step, searched_part
from backend.learning.step_storage import StepChanged
from backend.logs import add_to_log_context
from backend.queue.interruption import Interrupted, interruptible
from backend.settings import Settings
from backend.suggestions.detector import ActiveDetectors, ModelUnusable
from backend.suggestions.drawing import is_inside
from backend.suggestions.interactive_records import InteractiveAnswer
from backend.suggestions.interactive_storage import InteractiveStorage
from backend.suggestions.listed import has_box
from backend.suggestions.records import Prediction
from backend.suggestions.seen_object import SeenObject
from backend.suggestions.several_images import views_of
from backend.suggestions.storage import PredictionStorage
from model.decoding import UnreadableImage
from model.keypoint import Box, Detection, Keypoint, centre_to_edge, edge_to_centre

logger = logging.getLogger(__name__)

MOST_SEEN = 32  # objects whose features a worker keeps, at most 1.25 MB each
# Before anything is learnt: the points of the class evidence that lie this near, as a share of the
# longer side of the part of the image that was searched, and how many of them at most.
NEAR = 0.15
MOST_NEAR = 5
# The web process has stopped waiting by then.
GRACE = timedelta(seconds=5)


@dataclass(frozen=True)
class InteractiveContext:
    """Services and settings that every interactive job of this process uses."""

    settings: Settings
    answers: InteractiveStorage
    predictions: PredictionStorage
    projects: ProjectStorage
    images: Images
    detectors: ActiveDetectors
    named_points: NamedPoints
    backbone_of: BackboneOf
    seen: "OrderedDict[Hashable, SeenObject]" = field(default_factory=OrderedDict)


_context: InteractiveContext | None = None


def set_interactive_context(context: InteractiveContext | None) -> None:
    """Set what the jobs of this process use; None removes it."""
    global _context
    _context = context


def complete(answer_id: int) -> None:
    """Find the points of an answer, unless nobody waits for them any more.

    A failure is stored with its reason and not tried again: the annotator goes on without.

    Raises:
        Interrupted: the worker has to stop.
    """
    assert _context is not None, "set_interactive_context comes first"
    context = _context
    answer = context.answers.answer(answer_id)
    if answer is None or answer.status != "queued":
        return
    waited = timedelta(seconds=context.settings.predict_wait_one) + GRACE
    if answer.asked_at + waited < now():
        context.answers.fail(answer_id, "no worker was free in time")
        return
    add_to_log_context(request_id=answer.request_id)
    try:
        with interruptible():
            version, found = _find(context, answer)
    except Interrupted:
        raise
    except _EXPECTED as error:
        logger.warning("Task %s of project %s: %s", answer.task_id, answer.project_uid, error)
        context.answers.fail(answer_id, str(error))
    except Exception as error:
        logger.exception("Task %s of %s: unexpected error", answer.task_id, answer.project_uid)
        context.answers.fail(answer_id, f"{type(error).__name__}: {error}")
    else:
        context.answers.finish(answer_id, version, found)


_EXPECTED = (
    ImageFetchError,
    UnreadableImage,
    LabelConfigError,
    NotDeliverable,
    ModelUnusable,
    BackboneUnusable,
    StepChanged,
    ValueError,  # the detector rejects this image or box
)


def _find(context: InteractiveContext, answer: InteractiveAnswer) -> tuple[str, Detection]:
    """Return the version of the suggestions, and what they say about the object."""
    project = context.projects.project(answer.project_uid)
    assert project is not None, "guaranteed by the foreign key"
    backbone = context.backbone_of(answer.project_uid)
    step = context.named_points.step(backbone, answer.project_uid)
    if step is None:
        return backbone.version, _class_evidence(context, answer, project)
    seen = _see(context, answer, project, backbone, step)
    control = keypoint_control(project.label_config or "")
    # The answer leaves out labels that do not belong on the image, or in the task.
    labels = None if control.further or control.labels_path is not None else control.labels
    given = {
        label: _to_image(answer, seen.detection, *place)
        for label, place in answer.request.given.items()
    }
    try:
        named = context.named_points.complete(step, seen.looks, given, labels)
    finally:
        seen.let_go()
    return step.version, replace(seen.detection, keypoints=(), named=named)


def _see(
    context: InteractiveContext,
    answer: InteractiveAnswer,
    project: Project,
    backbone: Backbone,
    step: Step,
) -> SeenObject:
    """Return the object, with what was seen of it for earlier answers."""
    is_found = answer.request.box is None and context.named_points.region(step) is not None
    stored = None if is_found else _stored(context, answer)
    beyond = stored is not None and _is_beyond(answer, _detection(stored))
    image = (answer.project_uid, answer.task_id, answer.image_url)
    key = (backbone.extractor.key, *image, answer.request.box, is_found, beyond)
    found = context.seen.pop(key, None)
    if found is None:
        fetch = partial(context.images.picture, project, answer.image_url, answer.task_id)
        picture = fetch()
        height, width = picture.shape[:2]
        whole = Detection("", 0.0, (), width, height, Box(0, 0, width, height))
        where = (whole, None, None) if is_found else _part(context, answer, stored, picture)
        found = SeenObject(backbone.extractor, fetch, picture, *where)
    context.seen[key] = found
    while len(context.seen) > MOST_SEEN:
        context.seen.popitem(last=False)
    return found


def _part(
    context: InteractiveContext,
    answer: InteractiveAnswer,
    stored: Prediction | None,
    picture: NDArray[np.uint8],
) -> tuple[Detection, Box | None, Box | None]:
    """Return a detection on the image, the object's rectangle, and the part to look at without one.

    That is the part that the class evidence points to, unless the point just placed lies beyond it.
    """
    height, width = picture.shape[:2]
    if answer.request.box is not None:
        box = _box_on(answer, width, height)
        return Detection("", 0.0, (), width, height, box), box, None
    if stored is None:
        seen = context.detectors.get(answer.project_uid).detector.detect(picture)
    else:
        seen = _detection(stored)
    return seen, None, None if _is_beyond(answer, seen) else searched_part(seen)


def _class_evidence(
    context: InteractiveContext, answer: InteractiveAnswer, project: Project
) -> Detection:
    """Return the points of the class evidence near the point just placed, or in the rectangle."""
    anchor, stored = answer.request.anchor, _stored(context, answer)
    if anchor is not None and stored is not None:
        seen = _detection(stored)
        points = context.predictions.candidates(stored) or seen.keypoints
        return _near(answer, seen, points, anchor)
    detector = context.detectors.get(answer.project_uid).detector
    picture = context.images.picture(project, answer.image_url, answer.task_id)
    if anchor is not None:
        seen = detector.detect(picture)
        return _near(answer, seen, seen.candidates, anchor)
    height, width = picture.shape[:2]
    return detector.detect(picture, _box_on(answer, width, height))


def _stored(context: InteractiveContext, answer: InteractiveAnswer) -> Prediction | None:
    """Return the newest prediction of the task that looked at the whole image."""
    rows = context.predictions.of_task(answer.task_id, answer.project_uid)
    return next(
        (
            view
            for row in rows
            for view in views_of(row)
            if view.detection is not None
            and view.image_url == answer.image_url
            and not has_box(view.task)
        ),
        None,
    )


def _detection(row: Prediction) -> Detection:
    assert row.detection is not None, "`_stored` returns no other rows"
    return row.detection


def _is_beyond(answer: InteractiveAnswer, seen: Detection) -> bool:
    """Return whether the point just placed lies outside the part that was searched."""
    anchor = answer.request.anchor
    if anchor is None or answer.request.box is not None:
        return False
    return not is_inside(seen.box, *_to_image(answer, seen, *anchor))


def _near(
    answer: InteractiveAnswer,
    seen: Detection,
    candidates: Sequence[Keypoint],
    anchor: tuple[float, float],
) -> Detection:
    x, y = _to_image(answer, seen, *anchor)
    radius = NEAR * max(seen.box.width, seen.box.height)
    near = [each for each in candidates if hypot(each.x - x, each.y - y) <= radius]
    return replace(seen, keypoints=tuple(near[:MOST_NEAR]), named=())


def _to_image(
    answer: InteractiveAnswer, seen: Detection, x: float, y: float
) -> tuple[float, float]:
    """Map a place in px of the size that the browser told to px of the image."""
    return (
        edge_to_centre(centre_to_edge(x) * seen.width / answer.request.width),
        edge_to_centre(centre_to_edge(y) * seen.height / answer.request.height),
    )


def _box_on(answer: InteractiveAnswer, width: int, height: int) -> Box:
    """Return the rectangle around the object in px of the image."""
    box = answer.request.box
    assert box is not None, "a rectangle was placed, or lies around the point"
    across, down = width / answer.request.width, height / answer.request.height
    return Box(box.left * across, box.top * down, box.width * across, box.height * down)
