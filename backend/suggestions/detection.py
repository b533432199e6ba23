"""Find the points on the images of a task: fetch, decode, detect, and add what is learnt."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from backend.durations.recorder import measured_stage
from backend.labelstudio.errors import lies_outside
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
from backend.learning.looks import looks_at
from backend.learning.named_points import Landmarks
from backend.learning.records import searched_part
from backend.suggestions.detector import LoadedDetector
from backend.suggestions.job_context import JobContext
from backend.suggestions.listed import control_in_task
from backend.suggestions.objects import StoredObject
from backend.suggestions.records import PredictedImage, Prediction
from backend.suggestions.several_images import views_of
from backend.suggestions.several_objects import landmarks_of_each
from backend.suggestions.shown import shows_unnamed
from backend.suggestions.unnamed_points import detect_in_others
from model.decoding import UnreadableImage
from model.keypoint import Box, Detection

logger = logging.getLogger(__name__)


class Refused(Exception):
    """The detector rejects this image or box."""


# Failures for a reason that lies in the image, and stays.
OF_THE_IMAGE = (
    ImageFetchError,
    UnreadableImage,
    LabelConfigError,
    RegionError,
    NotDeliverable,
    Refused,
)


@dataclass(frozen=True)
class Found:
    """What is found on the images of a task; see `PredictionStorage.finish`."""

    detection: Detection | None
    costs: Mapping[str, float]
    objects: Sequence[StoredObject]
    images: Sequence[PredictedImage] = ()

    @property
    def detections(self) -> list[Detection]:
        """Those of all images that can be used."""
        each = [image.detection for image in self.images] or [self.detection]
        return [detection for detection in each if detection is not None]


def detect_in(
    context: JobContext, row: Prediction, model: LoadedDetector, project: Project
) -> Found:
    """Return what is found on the images of a task.

    One of several that cannot be used leaves the others their suggestions.

    Raises:
        Exception: one of `OF_THE_IMAGE` if no image can be used; any other if it lies outside.
    """
    views = views_of(row)
    if len(views) == 1 and views[0].to_name is None:
        return _detect_in_one(context, row, model, project)
    return _detect_in_each(context, views, model, project)


def _detect_in_each(
    context: JobContext, views: Sequence[Prediction], model: LoadedDetector, project: Project
) -> Found:
    """Return what is found on several images.

    Raises:
        Exception: whatever keeps the first from being used, if none of them can be used.
    """
    found: list[Found | Exception] = []
    for view in views:
        try:
            found.append(_detect_in_one(context, view, model, project))
        except OF_THE_IMAGE as error:
            if lies_outside(error):
                raise
            about = f"Task {view.task_id} of project {view.project_uid}"
            logger.warning("%s, image %r: no suggestions: %s", about, view.to_name, error)
            found.append(error)
    usable = [each for each in found if isinstance(each, Found)]
    if isinstance(found[0], Exception) and not usable:
        raise found[0]
    images = [_as_image(*each) for each in zip(views, found, strict=True)]
    return Found(images[0].detection, usable[0].costs, images[0].objects, images)


def _as_image(view: Prediction, found: Found | Exception) -> PredictedImage:
    if isinstance(found, Exception):
        return PredictedImage(view.to_name, view.image_url, reason=str(found))
    return PredictedImage(view.to_name, view.image_url, found.detection, None, found.objects)


def _detect_in_one(
    context: JobContext, view: Prediction, model: LoadedDetector, project: Project
) -> Found:
    """Fetch and search one image."""
    image = context.next_images.picture(project, view)
    with measured_stage("detect"):
        return detect_on(context, view, model, project, image)


def detect_on(
    context: JobContext,
    view: Prediction,
    model: LoadedDetector,
    project: Project,
    image: NDArray[np.uint8],
) -> Found:
    """Search one image.

    Args:
        view: the task as one about this image.
        image: (H, W, 3) RGB, upright.

    Raises:
        LabelConfigError, RegionError, Refused: nothing can be found on it, now or ever.
        StepChanged: the project has learnt something meanwhile.
    """
    control = _control_of(view, project)
    height, width = image.shape[:2]
    box = task_box(view.task, control, width, height)
    try:
        detection = model.detector.detect(image, box)
    except ValueError as error:
        raise Refused(str(error)) from error
    rectangles = rectangles_of(read(BoxSources, view.task), control, width, height)
    boxes: list[Box | None] = [each.box for each in rectangles] or [None]
    find = partial(_landmarks, context, view, model, control, image, searched_part(detection))
    landmarks = landmarks_of_each(find, boxes)
    counted = zip(rectangles, landmarks.counts, strict=False)
    objects = [StoredObject(rectangle, count) for rectangle, count in counted]
    suggest = project.settings.suggest or context.settings.suggest
    if rectangles and shows_unnamed(suggest, landmarks.points):
        detect = partial(model.detector.detect, image)
        detection = detect_in_others(detect, detection, [each.box for each in rectangles])
    return Found(replace(detection, named=landmarks.points), landmarks.costs, objects)


def _control_of(view: Prediction, project: Project) -> KeypointControl:
    """Return the control on the image of a view, as it is in its task."""
    control = keypoint_control(project.label_config or "").on(view.to_name)
    if control is None:
        raise Refused(
            f"expected a control for keypoints on the image {view.to_name!r}, but the labelling "
            "configuration was changed: ask for the suggestions again"
        )
    return control_in_task(control, view.task)


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
