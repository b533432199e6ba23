"""Write predictions and annotations as the backend gets them, and have its recorder judge them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.database.connection import Database, now
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.holdout import HoldoutStorage
from backend.suggestions.presentation import Presentation
from backend.suggestions.records import Wanted
from backend.suggestions.storage import PredictionStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.storage import EventStorage
from model.keypoint import Detection

Region = dict[str, Any]

PROJECT_ID = 1
START = datetime(2026, 1, 1, tzinfo=UTC)
PROJECT = {"id": PROJECT_ID, "created_at": START.isoformat()}
PROJECT_UID = f"{PROJECT_ID}.{int(START.timestamp())}"


def label_config(labels: Sequence[str], classes: Sequence[str]) -> str:
    """Return a labelling configuration with keypoints, rectangles and a class."""
    points = "".join(f'<Label value="{label}"/>' for label in labels)
    choices = "".join(f'<Choice value="{name}"/>' for name in classes)
    return (
        '<View><Image name="image" value="$image"/>'
        f'<KeyPointLabels name="points" toName="image">{points}</KeyPointLabels>'
        '<Rectangle name="box" toName="image"/>'
        f'<Choices name="class" toName="image">{choices}</Choices></View>'
    )


def moved(region: Region, dx: float, dy: float) -> Region:
    """Return a region that was dragged; `dx` and `dy` in px."""
    value = region["value"]
    position = {
        "x": value["x"] + 100 * dx / region["original_width"],
        "y": value["y"] + 100 * dy / region["original_height"],
    }
    return {**region, "origin": "prediction-changed", "value": {**value, **position}}


def relabelled(region: Region, label: str) -> Region:
    """Return a keypoint with another label."""
    value = {**region["value"], "keypointlabels": [label]}
    return {**region, "origin": "prediction-changed", "value": value}


def chosen(region: Region, name: str) -> Region:
    """Return a choice with another class."""
    return {**region, "origin": "prediction-changed", "value": {"choices": [name]}}


def _by_hand(
    region_id: str, size: tuple[int, int], control: str, kind: str, value: Mapping[str, Any]
) -> Region:
    return {
        "id": region_id,
        "from_name": control,
        "to_name": "image",
        "type": kind,
        "origin": "manual",
        "original_width": size[0],
        "original_height": size[1],
        "image_rotation": 0,
        "value": value,
    }


def added(region_id: str, size: tuple[int, int], x: float, y: float, label: str) -> Region:
    """Return a keypoint drawn by hand; `x` and `y` in percent, `size` of the image in px."""
    value = {"x": x, "y": y, "width": 0.3, "keypointlabels": [label]}
    return _by_hand(region_id, size, "points", "keypointlabels", value)


def rectangle(region_id: str, size: tuple[int, int], edges: Sequence[float]) -> Region:
    """Return a rectangle drawn by hand; `edges` left, top, right and bottom in percent."""
    left, top, right, bottom = edges
    value = {"x": left, "y": top, "width": right - left, "height": bottom - top, "rotation": 0}
    return _by_hand(region_id, size, "box", "rectangle", value)


@dataclass(frozen=True, slots=True)
class Submitted:
    """An annotation as an annotator submits it.

    Attributes:
        minutes: when, after `START`.
        from_suggestions: whether Label Studio names the suggestions as its parent.
    """

    task_id: int
    number: int
    annotator: int
    result: Sequence[Region]
    lead_time: float
    minutes: float
    from_suggestions: bool

    def as_json(self) -> dict[str, Any]:
        """Return what Label Studio sends."""
        moment = (START + timedelta(minutes=self.minutes)).isoformat()
        return {
            "id": self.number,
            "task": self.task_id,
            "project": PROJECT_ID,
            "result": list(self.result),
            "was_cancelled": False,
            "completed_by": self.annotator,
            "lead_time": self.lead_time,
            "created_at": moment,
            "updated_at": moment,
            "parent_prediction": self.task_id if self.from_suggestions else None,
        }


class AnnotationLog:
    """A database that is filled in the way that the backend fills it."""

    def __init__(self, database: Database, config: str) -> None:
        self._predictions = PredictionStorage(database)
        self._deliveries = DeliveryStorage(database)
        self._holdouts = HoldoutStorage(database)
        self._events = EventStorage(database)
        settings = Settings(suggest="always")
        self._recorder = Recorder(settings, database)
        self._presentation = Presentation(settings, database)
        self._projects = ProjectStorage(database)
        self._control = keypoint_control(config)
        ProjectStorage(database).save_label_config(PROJECT_UID, config)

    def predict(
        self, task_id: int, found: Detection, version: str, *, deliver: bool = True
    ) -> list[Region]:
        """Store what a model version found on a task, and return the regions that it suggests."""
        wanted = Wanted(task_id, f"/data/upload/1/{task_id}.jpg", f"{task_id:064}", {})
        [row] = self._predictions.request(
            PROJECT_UID, version, [wanted], retry_failed_before=START, to_deliver=deliver
        )
        self._predictions.finish(row.id, found)
        ready = self._predictions.prediction(row.id)
        assert ready is not None, "it was stored above"
        project = self._projects.project(PROJECT_UID)
        assert project is not None, "it was stored by __init__"
        sent = self._presentation.as_sent(ready, project, self._control)
        if deliver:
            self._deliveries.record_delivery(
                row.id, "reply", sent, number=1, lease=None, settles_in=10, check_in=120
            )
        return [{**region} for region in sent["result"]]

    def withhold(self, task_ids: Sequence[int]) -> None:
        """Record that the suggestions of these tasks are kept back."""
        self._holdouts.withhold(PROJECT_UID, task_ids, now())

    def submit(self, submitted: Submitted) -> None:
        """Store the event that Label Studio sends about an annotation."""
        action = "ANNOTATION_CREATED"
        body = {"action": action, "annotation": submitted.as_json(), "project": dict(PROJECT)}
        self._events.save_event(action, PROJECT_ID, body)

    def record(self) -> int:
        """Have the recorder judge all stored events, and return how many there were."""
        return self._recorder.drain()
