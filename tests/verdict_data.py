"""Predictions and annotations for tests of the verdict log, as Label Studio would send them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.database.connection import Database, now
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.regions import to_prediction
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.records import Wanted
from backend.suggestions.storage import PredictionStorage
from backend.verdicts.storage import EventStorage
from model.keypoint import Box, Detection, Keypoint

CONFIG = (
    '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
    '<Label value="car"/><Label value="nose"/><Label value="tail"/></KeyPointLabels>'
    '<Choices name="class" toName="image"><Choice value="car"/><Choice value="bus"/></Choices>'
    "</View>"
)
# The same, with a choice about each point.
CONFIG_WITH_VISIBILITY = CONFIG.replace(
    "</View>",
    '<Choices name="seen" toName="image" perRegion="true">'
    '<Choice value="visible"/><Choice value="occluded"/></Choices></View>',
)
MADE = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
PROJECT = {"id": 3, "created_at": MADE.isoformat()}
UID = f"3.{int(MADE.timestamp())}"
VERSION = "small-abc"


def keypoints(*positions: tuple[float, float]) -> tuple[Keypoint, ...]:
    """Points in px, with falling scores."""
    count = len(positions)
    return tuple(
        Keypoint(x, y, score=0.9 - 0.5 * place / max(count, 1), label="")
        for place, (x, y) in enumerate(positions)
    )


def detection(
    *positions: tuple[float, float],
    width: int = 100,
    height: int = 100,
    class_name: str = "car",
    box: Box | None = None,
) -> Detection:
    """What the detector might find."""
    box = box or Box(0, 0, width, height)
    return Detection(class_name, 0.8, keypoints(*positions), width, height, box)


def predict(
    database: Database,
    task_id: int,
    found: Detection,
    *,
    uid: str = UID,
    version: str = VERSION,
    deliver: bool = True,
    image: str = "",
    label_studio_id: int | None = None,
    config: str = CONFIG,
) -> list[dict[str, Any]]:
    """Store a prediction as if made and delivered in a reply; the regions that were sent."""
    ProjectStorage(database).save_label_config(uid, config)
    url = image or f"/data/upload/{task_id}.png"
    wanted = Wanted(task_id, url, f"{url}".ljust(64, "0")[-64:], {})
    moment = now()
    [row] = PredictionStorage(database).request(
        uid, version, [wanted], retry_failed_before=moment, to_deliver=deliver
    )
    PredictionStorage(database).finish(row.id, found)
    ready = PredictionStorage(database).prediction(row.id)
    assert ready is not None
    sent = to_prediction(
        found, keypoint_control(config), key=ready.key, model_version=version, default_label=None
    )
    if deliver:
        lease = DeliveryStorage(database).record_delivery(
            row.id, "reply", sent, number=1, lease=None, settles_in=10, check_in=120
        )
        assert lease is not None
        if label_studio_id is not None:
            DeliveryStorage(database).confirm(lease, label_studio_id, number=1)
    regions: list[dict[str, Any]] = sent["result"]
    return regions


def moved(region: Mapping[str, Any], dx: float = 0, dy: float = 0) -> dict[str, Any]:
    """A region that was dragged; dx and dy in percent."""
    value = region["value"]
    position = {"x": value["x"] + dx, "y": value["y"] + dy}
    return {**region, "origin": "prediction-changed", "value": {**value, **position}}


def relabelled(region: Mapping[str, Any], label: str) -> dict[str, Any]:
    """A region with another label."""
    value = {**region["value"], "keypointlabels": [label]}
    return {**region, "origin": "prediction-changed", "value": value}


def added(
    x: float, y: float, label: str = "car", region_id: str = "manual0001", side: int = 100
) -> dict[str, Any]:
    """A point that was drawn by hand; x and y in percent."""
    return {
        "id": region_id,
        "from_name": "kp",
        "to_name": "image",
        "type": "keypointlabels",
        "origin": "manual",
        "original_width": side,
        "original_height": side,
        "image_rotation": 0,
        "value": {"x": x, "y": y, "width": 0.283, "keypointlabels": [label]},
    }


def said(region: Mapping[str, Any], visibility: str) -> dict[str, Any]:
    """The choice about a point with `CONFIG_WITH_VISIBILITY`."""
    about = {"from_name": "seen", "type": "choices"}
    return {**region, **about, "value": {**region["value"], "choices": [visibility]}}


def annotation(
    task_id: int,
    result: Sequence[object],
    *,
    number: int | None = None,
    minutes: float = 0,
    made: float = 0,
    annotator: int = 1,
    parent: int | None = 7,
    **more: Any,
) -> dict[str, Any]:
    """An annotation as Label Studio has it; made, and then changed after some minutes.

    Times lie in the future of the prediction, which `predict` delivers now.
    """
    start = now() + timedelta(hours=1)
    start = start.replace(minute=0, second=0, microsecond=0)
    return {
        "id": task_id if number is None else number,
        "task": task_id,
        "project": 3,
        "result": list(result),
        "was_cancelled": False,
        "completed_by": annotator,
        "lead_time": 10.0,
        "created_at": (start + timedelta(minutes=made)).isoformat(),
        "updated_at": (start + timedelta(minutes=made + minutes)).isoformat(),
        "parent_prediction": parent,
        **more,
    }


def event(
    database: Database, body: Mapping[str, Any] | None, action: str = "ANNOTATION_CREATED"
) -> int:
    """Store an event as the webhook does; `body` is the annotation."""
    return EventStorage(database).save_event(
        action, 3, {"action": action, "annotation": body, "project": dict(PROJECT)}
    )


def deletion(database: Database, *annotation_ids: int) -> int:
    """Store the event that annotations were deleted."""
    action = "ANNOTATIONS_DELETED"
    ids = [{"id": one} for one in annotation_ids]
    return EventStorage(database).save_event(
        action, 3, {"action": action, "annotations": ids, "project": dict(PROJECT)}
    )
