"""Typed records of what the database says about annotations and suggestions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class JudgedAnnotation:
    """An annotation in the state that counts, compared with a prediction.

    Attributes:
        id: id of the state.
        annotator: user id; None where Label Studio does not say who it was.
        lead_time: s; None where unknown.
        class_name: class that the prediction suggested.
        shown: whether the annotator saw the suggestions.
        width, height: of the image, px.
    """

    id: int
    project_uid: str
    task_id: int
    annotation_id: int
    updated_at: datetime
    annotator: int | None
    lead_time: float | None
    prediction_id: int
    model_version: str
    class_name: str
    shown: bool
    width: float
    height: float
    image_url: str

    @property
    def task(self) -> tuple[str, int]:
        """Project and task id, which together identify the task."""
        return self.project_uid, self.task_id

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
    """The points that one model version found on a task.

    Attributes:
        points: (N, 2), x and y, px.
        longer_side: of the image, px.
    """

    project_uid: str
    task_id: int
    model_version: str
    points: NDArray[np.float64]
    longer_side: float

    @classmethod
    def of(
        cls, project_uid: str, task_id: int, model_version: str, detection: Mapping[str, Any]
    ) -> "VersionDetection":
        """Read a stored detection."""
        points = np.array([(each["x"], each["y"]) for each in detection["keypoints"]], np.float64)
        longer = max(detection["width"], detection["height"])
        return cls(project_uid, task_id, model_version, points.reshape(-1, 2), longer)

    @property
    def task(self) -> tuple[str, int]:
        """Project and task id, which together identify the task."""
        return self.project_uid, self.task_id


@dataclass(frozen=True, slots=True)
class ChoiceCount:
    """Number of annotation states with one verdict about the suggested class."""

    state_id: int
    verdict: str
    count: int


@dataclass(frozen=True, slots=True)
class UnusedCount:
    """A reason why something was not used, and how often it occurred."""

    reason: str
    count: int


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
