"""Predictions and deliveries, as the rest of the program sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from backend.database.text import storable
from backend.labelstudio.schemas import PredictionJson
from backend.labelstudio.shapes import Json
from backend.suggestions.objects import StoredObject, objects_to_json
from model.keypoint import Box, Detection, Keypoint, NamedKeypoint

Status = Literal["queued", "ready", "failed"]
# In the reply to /predict, through Label Studio's API as a new prediction or as a change of the
# last one, or found there without a delivery of ours.
Way = Literal["reply", "push", "change", "found"]

POINTS = np.dtype("<f4")
MOST_CANDIDATES = 2000  # stored for a prediction; the default settings find 300 to 450


@dataclass(frozen=True, slots=True)
class Wanted:
    """A prediction to be made.

    Attributes:
        task: JSON of the task, reduced to what a worker needs besides the image.
        refusal: why it cannot be made, if that is known from the start.
    """

    task_id: int
    image_url: str
    input_sha256: str
    task: Json
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class PredictedImage:
    """One of several images of a task, and what was found on it.

    Attributes:
        to_name: its name in the labelling configuration; None for the only image of a task.
        detection: None until made, and where the image cannot be used.
        reason: why it cannot be used.
        objects: as those of a `Prediction`.
    """

    to_name: str | None
    image_url: str
    detection: Detection | None = None
    reason: str | None = None
    objects: Sequence[StoredObject] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a prediction to Label Studio.

    Attributes:
        number: counts the deliveries of its prediction, from 1.
        sent: the prediction as Label Studio got it.
        confirmed_at: when it was known to be in Label Studio; None until then.
        label_studio_id: its primary key in Label Studio; None until confirmed.
    """

    number: int
    way: Way
    sent: PredictionJson
    made_at: datetime
    confirmed_at: datetime | None
    label_studio_id: int | None

    @property
    def is_pending_change(self) -> bool:
        """Whether it is a change that Label Studio may or may not have made."""
        return self.way == "change" and self.confirmed_at is None


@dataclass(frozen=True, slots=True)
class DeliveryLease:
    """The right to talk to Label Studio about a prediction, which one process at a time holds.

    Attributes:
        expires_at: when the lease ends; it also distinguishes this lease from all others.
    """

    prediction_id: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Prediction:
    """A row of the table of predictions, with its latest delivery.

    Attributes:
        detection: None until made. Of the first image of a task with several: None as well if that
            cannot be used, while another one can.
        costs: seconds of actions, as far as the project's lead times told them when it was made.
        objects: the rectangles of the task, with the numbers of `detection.named` in each.
        opened_at: when an annotator opened the task and it was not ready; None for one that nobody
            waits for.
        request_id: of the request that asked last; None if it had none.
        images: what was found on each image of a task with several; see `several_images`.
        image_number, to_name: of a view of such a prediction, which image it is about, from 0.
    """

    id: int
    project_uid: str
    task_id: int
    image_url: str
    input_sha256: str
    model_version: str
    task: Json
    status: Status
    reason: str | None
    detection: Detection | None
    round: int
    attempts: int
    failures: int
    waiting_for: str | None
    retry_at: datetime | None
    failing_since: datetime | None
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
    costs: Mapping[str, float] | None = None
    objects: Sequence[StoredObject] = ()
    opened_at: datetime | None = None
    request_id: str | None = None
    images: Sequence[PredictedImage] = ()
    image_number: int | None = None
    to_name: str | None = None

    @property
    def key(self) -> str:
        """Unique among all predictions, and the same each time the prediction is made."""
        parts = (self.project_uid, str(self.task_id), self.input_sha256, self.model_version)
        return "/".join(parts)


def pack_points(points: Sequence[Keypoint]) -> bytes:
    """Pack the first `MOST_CANDIDATES` points: x, y (px) and score of each, as 32-bit floats."""
    rows = [(point.x, point.y, point.score) for point in points[:MOST_CANDIDATES]]
    return np.array(rows, POINTS).tobytes()


def unpack_points(packed: bytes, label: str) -> tuple[Keypoint, ...]:
    """Inverse of `pack_points`; all points have the same label."""
    rows = np.frombuffer(packed, POINTS).reshape(-1, 3).astype(float).tolist()
    return tuple(Keypoint(x, y, score, label) for x, y, score in rows)


def detection_to_json(detection: Detection) -> Json:
    """Convert a detection, except for its maps and candidates."""
    return {
        "class_name": detection.class_name,
        "probability": detection.probability,
        "keypoints": [
            {"x": each.x, "y": each.y, "score": each.score, "label": each.label}
            for each in detection.keypoints
        ],
        "width": detection.width,
        "height": detection.height,
        "box": asdict(detection.box),
        "named": [asdict(keypoint) for keypoint in detection.named],
    }


def detection_from_json(kept: Json) -> Detection:
    """Inverse of `detection_to_json`; there are no maps and no candidates."""
    return Detection(
        class_name=kept["class_name"],
        probability=kept["probability"],
        keypoints=tuple(Keypoint(**keypoint) for keypoint in kept["keypoints"]),
        width=kept["width"],
        height=kept["height"],
        box=Box(**kept["box"]),
        # Rows from before corrections were learnt have none.
        named=tuple(NamedKeypoint(**keypoint) for keypoint in kept.get("named", ())),
    )


def image_values(prediction_id: int, number: int, image: PredictedImage) -> dict[str, object]:
    """Return the row of an image; what was found on the first is in the row of the prediction."""
    found = image.detection if number else None
    return {
        "prediction_id": prediction_id,
        "number": number,
        "to_name": image.to_name,
        "image_url": image.image_url,
        "reason": image.reason and storable(image.reason),
        "detection": found and detection_to_json(found),
        "objects": (objects_to_json(image.objects) or None) if number else None,
        "points": pack_points(found.candidates) if found and found.candidates else None,
    }
