"""Which tasks get no suggestions, so that one can tell what annotators do without."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from backend.database.connection import CHUNK, Database
from backend.suggestions.tables import holdouts

SIZE = 8  # bytes of the hash that are used


def is_held_back(share: float, project_uid: str, task_id: int) -> bool:
    """Whether a task belongs to the held-back share: by chance, and the same whenever asked.

    A larger share holds back what a smaller one does, and more.
    """
    drawn = hashlib.sha256(f"holdout {project_uid}/{task_id}".encode()).digest()[:SIZE]
    return int.from_bytes(drawn) < share * (1 << 8 * SIZE)


class HoldoutStorage:
    """The tasks whose suggestions are withheld."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def withhold(self, project_uid: str, task_ids: Sequence[int], moment: datetime) -> None:
        """Note that the suggestions of these tasks are held back."""
        rows = [
            {"project_uid": project_uid, "task_id": task_id, "withheld_at": moment}
            for task_id in sorted(set(task_ids))
        ]
        with self._database.writing() as connection:
            for start in range(0, len(rows), CHUNK):
                insert = self._database.insert(holdouts).on_conflict_do_nothing()
                connection.execute(insert, rows[start : start + CHUNK])

    def is_withheld(self, project_uid: str, task_id: int) -> bool:
        """Whether the suggestions of a task are held back."""
        asked = select(holdouts.c.task_id).where(
            holdouts.c.project_uid == project_uid, holdouts.c.task_id == task_id
        )
        with self._database.reading() as connection:
            return connection.scalar(asked) is not None
