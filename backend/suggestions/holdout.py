"""Tasks whose suggestions are withheld, to measure what annotators do without them."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from backend.database.connection import CHUNK, Database
from backend.suggestions.tables import holdouts

HASH_BYTES = 8  # of the digest that are used


def is_in_holdout(share: float, project_uid: str, task_id: int) -> bool:
    """Return whether a task belongs to the random share whose suggestions are withheld.

    The result for a task never changes. A larger share includes every smaller one.
    """
    digest = hashlib.sha256(f"holdout {project_uid}/{task_id}".encode()).digest()[:HASH_BYTES]
    return int.from_bytes(digest) < share * (1 << 8 * HASH_BYTES)


class HoldoutStorage:
    """The tasks whose suggestions are withheld."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def withhold(self, project_uid: str, task_ids: Sequence[int], moment: datetime) -> None:
        """Record that the suggestions of these tasks are withheld, unless already recorded."""
        rows = [
            {"project_uid": project_uid, "task_id": task_id, "withheld_at": moment}
            for task_id in sorted(set(task_ids))
        ]
        with self._database.writing() as connection:
            for start in range(0, len(rows), CHUNK):
                insert = self._database.insert(holdouts).on_conflict_do_nothing()
                connection.execute(insert, rows[start : start + CHUNK])

    def is_withheld(self, project_uid: str, task_id: int) -> bool:
        """Return whether the suggestions of a task are withheld."""
        query = select(holdouts.c.task_id).where(
            holdouts.c.project_uid == project_uid, holdouts.c.task_id == task_id
        )
        with self._database.reading() as connection:
            return connection.scalar(query) is not None
