"""What the rows of the database are to the rest of the program."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from model.keypoint import Box, Detection, Keypoint

Status = Literal["queued", "ready", "failed"]
# Label Studio got it in the reply to /predict, or through its API, or was found to have it already.
Way = Literal["reply", "push", "found"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A prediction that somebody asks for.

    Attributes:
        task: what a worker needs of it besides the image, JSON.
        refusal: why it cannot be had, where that is known from the start.
    """

    task_id: int
    image_url: str
    input_sha256: str
    task: dict[str, Any]
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One time that a prediction was given to Label Studio, or found there.

    Attributes:
        number: 1 for the first of its prediction.
        sent: the prediction as Label Studio got it.
        confirmed_at: when it was seen to be there; None while unknown.
        label_studio_id: its primary key there, once known.
    """

    number: int
    way: Way
    sent: dict[str, Any]
    made_at: datetime
    confirmed_at: datetime | None
    label_studio_id: int | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """A row of the table of predictions, with the latest of its deliveries."""

    id: int
    project_uid: str
    task_id: int
    image_url: str
    input_sha256: str
    model_version: str
    task: dict[str, Any]
    status: Status
    reason: str | None
    detection: Detection | None
    round: int
    attempts: int
    failures: int
    to_deliver: bool
    deliveries: int
    waiting_until: datetime | None
    busy_until: datetime | None
    check_at: datetime | None
    checks: int
    created_at: datetime
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    delivery: Delivery | None

    @property
    def key(self) -> str:
        """What no other prediction shares, the same whenever and wherever it is made."""
        parts = (self.project_uid, str(self.task_id), self.input_sha256, self.model_version)
        return "/".join(parts)


def detection_to_json(detection: Detection) -> dict[str, Any]:
    """What is kept of a detection: all but its maps."""
    return {
        "class_name": detection.class_name,
        "probability": detection.probability,
        "keypoints": [asdict(keypoint) for keypoint in detection.keypoints],
        "width": detection.width,
        "height": detection.height,
        "box": asdict(detection.box),
    }


def detection_from_json(kept: dict[str, Any]) -> Detection:
    """The way back of `detection_to_json`."""
    return Detection(
        class_name=kept["class_name"],
        probability=kept["probability"],
        keypoints=tuple(Keypoint(**keypoint) for keypoint in kept["keypoints"]),
        width=kept["width"],
        height=kept["height"],
        box=Box(**kept["box"]),
    )
