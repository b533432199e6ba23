"""SQL for answers to annotators who place a point or a rectangle."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, insert, select, update

from backend.database.connection import Database, now
from backend.database.text import storable
from backend.labelstudio.shapes import Json
from backend.suggestions.interactive_records import InteractiveAnswer, PlacedSoFar
from backend.suggestions.records import detection_from_json, detection_to_json
from backend.suggestions.tables import interactive_answers as answers
from model.keypoint import Detection

MOST_REMEMBERED = 100  # answers of a task


class InteractiveStorage:
    """The table of interactive answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        project_uid: str,
        task_id: int,
        image_url: str,
        request: PlacedSoFar,
        request_id: str | None = None,
    ) -> int:
        """Add a row that waits for a worker, and return its id."""
        values = {
            "project_uid": project_uid,
            "task_id": task_id,
            "image_url": image_url,
            "request": request.as_json(),
            "status": "queued",
            "asked_at": now(),
            "request_id": request_id,
        }
        with self._database.writing() as connection:
            new_id: int = connection.execute(
                insert(answers).values(values).returning(answers.c.id)
            ).scalar_one()
        return new_id

    def answer(self, answer_id: int) -> InteractiveAnswer | None:
        """Return a row, or None if it does not exist."""
        found = self._select(select(answers).where(answers.c.id == answer_id))
        return found[0] if found else None

    def of_task(self, project_uid: str, task_id: int) -> list[InteractiveAnswer]:
        """Return the newest answers of a task that were sent, oldest first."""
        newest = (
            select(answers)
            .where(
                answers.c.project_uid == project_uid,
                answers.c.task_id == task_id,
                answers.c.sent_at.is_not(None),
            )
            .order_by(answers.c.id.desc())
            .limit(MOST_REMEMBERED)
        )
        return self._select(newest)[::-1]

    def finished(self, ids: Sequence[int]) -> set[int]:
        """Return those of the ids whose rows no longer wait for a worker."""
        query = select(answers.c.id).where(answers.c.id.in_(ids), answers.c.status != "queued")
        with self._database.reading() as connection:
            return set(connection.scalars(query))

    def finish(self, answer_id: int, model_version: str, detection: Detection) -> None:
        """Store what a worker found."""
        self._update_queued(
            answer_id,
            status="ready",
            model_version=model_version,
            detection=detection_to_json(detection),
        )

    def fail(self, answer_id: int, reason: str) -> None:
        """Give up on an answer, unless it is finished."""
        self._update_queued(answer_id, status="failed", reason=storable(reason))

    def record_sent(self, answer_id: int, sent: Sequence[Json]) -> None:
        """Record the regions of an answer, before Label Studio gets them."""
        with self._database.writing() as connection:
            connection.execute(
                update(answers)
                .where(answers.c.id == answer_id)
                .values(sent=list(sent), sent_at=now())
            )

    def _update_queued(self, answer_id: int, **values: object) -> None:
        with self._database.writing() as connection:
            connection.execute(
                update(answers)
                .where(answers.c.id == answer_id, answers.c.status == "queued")
                .values(**values)
            )

    def _select(self, query: Select[Any]) -> list[InteractiveAnswer]:
        with self._database.reading() as connection:
            return [_from_row(row) for row in connection.execute(query)]


def _from_row(row: Row[Any]) -> InteractiveAnswer:
    values = dict(row._mapping)
    values["request"] = PlacedSoFar.from_json(values["request"])
    if values["detection"] is not None:
        values["detection"] = detection_from_json(values["detection"])
    return InteractiveAnswer(**values)
