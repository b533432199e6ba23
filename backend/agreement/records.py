"""Typed records of what the database says about annotations and suggestions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.verdicts.records import Group

ImageOfTask = tuple[str, int, int]  # project, task id and number of the image, from 0


@dataclass(frozen=True, slots=True)
class JudgedAnnotation:
    """An annotation of an image in a state that counts, compared with a prediction.

    One of a task with several images occurs once for each of them.

    The newest state of an annotation says how good suggestions and result are; the first one, as
    the annotator submitted it, how far the suggestions were accepted. Mostly both are the same.

    Attributes:
        id: id of the state.
        newest_id: id of the newest state.
        first_id: id of the annotator's first submission; None where only states are known that
            somebody else saved.
        edited_by_other: whether somebody else changed the newest state.
        annotator: user id of the author; None where Label Studio does not say who it was.
        lead_time: s; None where unknown, and where the task has several images.
        class_name: class that the prediction suggested.
        group: whether it began as the suggestions.
        width, height: of the image, px.
        image_number: which of several images of the task it is about, from 0; None for the only
            one.
    """

    id: int
    newest_id: int
    first_id: int | None
    edited_by_other: bool
    project_uid: str
    task_id: int
    annotation_id: int
    updated_at: datetime
    annotator: int | None
    lead_time: float | None
    prediction_id: int
    model_version: str
    class_name: str
    group: Group
    width: float
    height: float
    image_url: str
    image_number: int | None = None

    @property
    def is_newest(self) -> bool:
        """Whether this is the newest state of the annotation."""
        return self.id == self.newest_id

    @property
    def is_first(self) -> bool:
        """Whether this is the annotator's first submission."""
        return self.id == self.first_id

    @property
    def task(self) -> tuple[str, int]:
        """Project and task id, which together identify the task."""
        return self.project_uid, self.task_id

    @property
    def image(self) -> ImageOfTask:
        """Project, task and number of the image, which together identify the image."""
        return self.project_uid, self.task_id, self.image_number or 0

    @property
    def stratum(self) -> tuple[str, str]:
        """Project and model version, within which shown and withheld tasks are comparable."""
        return self.project_uid, self.model_version

    @property
    def longer_side(self) -> float:
        """Longer side of the image, px."""
        return max(self.width, self.height)


@dataclass(frozen=True, slots=True)
class VersionDetection:
    """The points that one model version found on an image of a task.

    Attributes:
        image_number: which image of the task, from 0.
        points: (N, 2), x and y, px.
        longer_side: of the image, px.
    """

    project_uid: str
    task_id: int
    model_version: str
    points: NDArray[np.float64]
    longer_side: float
    image_number: int = 0

    @classmethod
    def of(
        cls,
        project_uid: str,
        task_id: int,
        model_version: str,
        detection: Mapping[str, Any],
        image_number: int = 0,
    ) -> "VersionDetection":
        """Read a stored detection."""
        points = np.array([(each["x"], each["y"]) for each in detection["keypoints"]], np.float64)
        longer = max(detection["width"], detection["height"])
        points = points.reshape(-1, 2)
        return cls(project_uid, task_id, model_version, points, longer, image_number)

    @property
    def image(self) -> ImageOfTask:
        """Project, task and number of the image, which together identify the image."""
        return self.project_uid, self.task_id, self.image_number


@dataclass(frozen=True, slots=True)
class ChoiceCount:
    """Number of annotation states with one verdict about the suggested class."""

    state_id: int
    verdict: str
    count: int


@dataclass(frozen=True, slots=True)
class FollowUpCount:
    """Number of points on one image that followed something placed, with one verdict.

    Attributes:
        image: project and address.
    """

    image: tuple[str, str]
    verdict: str
    count: int


@dataclass(frozen=True, slots=True)
class UnusedCount:
    """A reason why something was not used, and how often it occurred."""

    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class AnnotationGroups:
    """Numbers of submitted annotations.

    Attributes:
        shown: those that began as the suggestions; all figures are about them.
        withheld: those from which the suggestions were kept back.
        from_scratch: those whose annotators could have had the suggestions, but did not use them.
        elsewhere: those that were never compared with a suggestion.
    """

    shown: int
    withheld: int
    from_scratch: int
    elsewhere: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Numbers of annotation states and deletions by the way they reached the backend.

    Attributes:
        by_event: states that an event brought.
        lost: states and deletions whose event never arrived.
        recovered: lost ones that a pull brought.
    """

    by_event: int
    lost: int
    recovered: int


class VerdictRow(NamedTuple):
    """A verdict with the facts about its annotation; its fields are the columns of the export."""

    project_uid: str
    task_id: int
    annotation_id: int
    made_at: datetime
    updated_at: datetime
    source: str
    annotator: int | None
    lead_time: float | None
    prediction_id: int
    model_version: str
    prediction_score: float
    class_name: str
    shown: bool
    group: Group
    width: float
    height: float
    kind: str
    verdict: str
    number: int | None
    region_id: str | None
    suggested_label: str | None
    final_label: str | None
    score: float | None
    suggested_x: float | None
    suggested_y: float | None
    final_x: float | None
    final_y: float | None
    displacement: float | None
    length: float | None
    area: float | None
    object: int | None
    suggested_hit: bool | None
    final_hit: bool | None
    image_number: int | None
    suggested_visibility: str | None
    final_visibility: str | None
