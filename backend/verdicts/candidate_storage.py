"""SQL that reads which predictions of a task an annotation may have been made from."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, Select, select

from backend.database.connection import Database
from backend.suggestions.queries import images_of_predictions
from backend.suggestions.records import PredictedImage, detection_from_json
from backend.suggestions.several_images import images_in
from backend.suggestions.tables import deliveries, predictions
from backend.verdicts.records import Candidate


class CandidateStorage:
    """The finished predictions of tasks, with what was delivered of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def candidates(self, project_uid: str, task_id: int) -> list[Candidate]:
        """Return the finished predictions of a task, once for each delivery."""
        query: Select[Any] = (
            select(
                predictions.c.id,
                predictions.c.model_version,
                predictions.c.task,
                predictions.c.image_url,
                predictions.c.detection,
                deliveries.c.sent,
                deliveries.c.made_at,
                deliveries.c.label_studio_id,
            )
            .outerjoin(deliveries, deliveries.c.prediction_id == predictions.c.id)
            .where(
                predictions.c.project_uid == project_uid,
                predictions.c.task_id == task_id,
                predictions.c.status == "ready",
            )
            .order_by(predictions.c.id, deliveries.c.number)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            several = {row.id for row in rows if images_in(row.task)}
            further = images_of_predictions(connection, several) if several else {}
        return [
            Candidate(row.id, row.model_version, _images(row, further.get(row.id, ())), *row[5:])
            for row in rows
        ]


def _images(row: Row[Any], several: Sequence[PredictedImage]) -> list[PredictedImage]:
    """Return what was found on each image of the task of a prediction."""
    detection = None if row.detection is None else detection_from_json(row.detection)
    if not several:
        return [PredictedImage(None, row.image_url, detection)]
    return [replace(several[0], detection=detection), *several[1:]]
