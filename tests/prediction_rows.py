"""Rows of predictions for tests of the storages."""

import hashlib
from datetime import UTC, datetime

from sqlalchemy import update

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.suggestions.records import Prediction, Wanted
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.tables import predictions
from model.keypoint import Box, Detection, Keypoint

UID = "3.1795347724"
VERSION = "small-0123456789"
DETECTION = Detection(
    class_name="bus",
    probability=0.75,
    keypoints=(Keypoint(1.5, 2.25, 0.875, "bus"),),
    width=640,
    height=480,
    box=Box(0, 0, 640, 480),
)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def wanted(task_id: int, image: str = "/data/a.png", refusal: str | None = None) -> Wanted:
    """A prediction to be made for a task."""
    digest = hashlib.sha256(image.encode()).hexdigest()
    return Wanted(task_id, image, digest, {}, refusal)


def ask(database: Database, *tasks: int, before: datetime = LONG_AGO) -> list[Prediction]:
    """Request predictions for tasks of a known project."""
    ProjectStorage(database).save_label_config(UID, "<View/>")
    asked = [wanted(task) for task in tasks]
    return PredictionStorage(database).request(UID, VERSION, asked, retry_failed_before=before)


def ready(database: Database, task: int = 1) -> int:
    """Make a prediction that is neither reserved nor delivered, and return its id."""
    [row] = ask(database, task)
    PredictionStorage(database).start_attempt(row.id)
    PredictionStorage(database).finish(row.id, DETECTION)
    return row.id


def let_time_pass(database: Database, row: int) -> None:
    """Let every reservation and every lease of a row have ended long ago."""
    with database.writing() as connection:
        for column in ("waiting_until", "busy_until", "check_at"):
            connection.execute(
                update(predictions)
                .where(predictions.c.id == row, predictions.c[column].is_not(None))
                .values({column: LONG_AGO})
            )


def fetched(database: Database, row: int) -> Prediction:
    """The row as the database has it now."""
    found = PredictionStorage(database).prediction(row)
    assert found is not None
    return found
