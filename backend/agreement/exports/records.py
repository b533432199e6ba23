"""Typed records of the annotations that an export holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from backend.verdicts.records import Group
from model.keypoint import Box

# `elsewhere`: never compared with a suggestion.
Origin = Group | Literal["elsewhere"]

OCCLUDED = 1
VISIBLE = 2


@dataclass(frozen=True, slots=True)
class ExportedPoint:
    """A point that an annotator left.

    Attributes:
        x, y: px; (0, 0) is the centre of the first pixel.
        label: empty for a point without a label.
        object: place of its rectangle in the annotation's `objects`; None for none.
        visibility: COCO's flag: `OCCLUDED` or `VISIBLE`.
    """

    x: float
    y: float
    label: str
    region_id: str | None
    object: int | None
    visibility: int


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A rectangle that the annotator drew."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class ExportedAnnotation:
    """A submitted annotation of an image; of a task with several images, there is one for each.

    Attributes:
        id: of the annotation's state in the log.
        class_name: that the prediction suggested; None if there was none to compare with.
        choice: the class that the annotator left; None for none.
        width, height: of the image, px.
        task_box: the part of the image that the task is about; None for all of it.
        result: raw regions as Label Studio sent them; None where the log does not have them or
            they were not asked for.
        image_number: which of several images of the task it is about, from 0.
        to_name: name of that image in the configuration; None where the task has only one.
    """

    id: int
    project_uid: str
    task_id: int
    annotation_id: int
    annotator: int | None
    updated_at: datetime
    lead_time: float | None
    origin: Origin
    class_name: str | None
    choice: str | None
    width: float
    height: float
    task_box: Box | None
    image_url: str
    objects: Sequence[DrawnBox]
    points: Sequence[ExportedPoint]
    result: Sequence[Any] | None = None
    image_number: int = 0
    to_name: str | None = None


@dataclass(frozen=True, slots=True)
class ExportedTask:
    """The annotations of one task, oldest first; of one with several images, those of one image.

    Attributes:
        left_out: number of annotations of which the log lacks the points, the image's size or its
            address.
    """

    project_uid: str
    task_id: int
    annotations: Sequence[ExportedAnnotation]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class TaskPrediction:
    """A prediction as Label Studio got it, with what the log keeps of its task.

    Attributes:
        sent: raw JSON of the prediction.
        task: raw JSON of the task, as far as a worker needed it.
    """

    project_uid: str
    task_id: int
    sent: dict[str, Any]
    task: dict[str, Any]
