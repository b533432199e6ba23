"""SQL that counts the tasks of a project that wait for a worker."""

from sqlalchemy import func, select

from backend.database.connection import Database
from backend.suggestions.tables import predictions


class WaitingTasks:
    """Counts tasks that wait."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, project_uid: str, limit: int) -> int:
        """Return how many tasks of a project wait, counting no further than `limit`."""
        waiting = (
            select(predictions.c.id)
            .where(predictions.c.project_uid == project_uid, predictions.c.status == "queued")
            .limit(limit)
            .subquery()
        )
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(waiting)) or 0
