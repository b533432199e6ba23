"""Tasks with two images, each with its control for keypoints."""

from collections.abc import Sequence
from typing import Any

from verdict_data import UID, VERSION

from backend.database.connection import Database, now
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import Project, ProjectStorage
from backend.settings import Settings
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.presentation import Presentation
from backend.suggestions.records import PredictedImage, Prediction
from backend.suggestions.several_images import IMAGES
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from model.keypoint import Detection

SIDES = ("left", "right")


def config_of(*sides: str) -> str:
    """Two images, in this order, each with labels and classes of its own."""
    return f"<View>{''.join(map(_side, sides))}</View>"


def _side(side: str) -> str:
    return (
        f'<Image name="{side}" value="${side}"/>'
        f'<KeyPointLabels name="points-{side}" toName="{side}">'
        f'<Label value="car"/><Label value="nose"/><Label value="{side} tail"/></KeyPointLabels>'
        f'<Choices name="class-{side}" toName="{side}">'
        '<Choice value="car"/><Choice value="bus"/></Choices>'
    )


PAIR = config_of(*SIDES)


def pair_task(number: int, **more: Any) -> dict[str, Any]:
    """A task as Label Studio sends it."""
    data = {side: f"/data/{side}/{number}.png" for side in SIDES}
    return {"id": number, "data": data | more}


def project_of(database: Database) -> Project:
    """The project of all of these tasks."""
    found = ProjectStorage(database).project(UID)
    assert found is not None
    return found


def made(
    database: Database,
    number: int,
    found: Sequence[Detection | None],
    config: str = PAIR,
    uid: str = UID,
    **more: Any,
) -> Prediction:
    """A prediction that a worker has made; None where an image could not be used."""
    ProjectStorage(database).save_label_config(uid, config)
    wanted = wanted_of(pair_task(number, **more), keypoint_control(config))
    assert wanted is not None
    storage = PredictionStorage(database)
    [row] = storage.request(uid, VERSION, [wanted], retry_failed_before=now(), to_deliver=True)
    images = [
        PredictedImage(name, url, each, None if each else "it is missing")
        for (name, url), each in zip(wanted.task.get(IMAGES, ()), found, strict=False)
    ]
    storage.finish(row.id, found[0], images=images)
    done = storage.prediction(row.id)
    assert done is not None
    return done


def as_sent(database: Database, row: Prediction, config: str = PAIR) -> dict[str, Any]:
    """A prediction as Label Studio gets it."""
    presentation = Presentation(Settings(suggest="always"), database)
    return dict(presentation.as_sent(row, project_of(database), keypoint_control(config)))


def predict_pair(
    database: Database, number: int, *found: Detection | None, config: str = PAIR
) -> list[dict[str, Any]]:
    """Store a prediction as if made and delivered in a reply; the regions that were sent."""
    row = made(database, number, found, config)
    presentation = Presentation(Settings(suggest="always"), database)
    sent = presentation.as_sent(row, project_of(database), keypoint_control(config))
    lease = DeliveryStorage(database).record_delivery(
        row.id, "reply", sent, number=1, lease=None, settles_in=10, check_in=120
    )
    assert lease is not None
    return sent["result"]
