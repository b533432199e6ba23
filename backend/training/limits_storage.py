"""SQL that counts trainings, of one project and of all."""

from datetime import datetime

from sqlalchemy import func, select

from backend.database.connection import Database
from backend.training.tables import trainings


class WaitingTrainings:
    """Counts trainings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unfinished(self) -> int:
        """Return how many trainings of all projects have not ended."""
        query = select(func.count()).where(trainings.c.status == "queued")
        with self._database.reading() as connection:
            return connection.scalar(query) or 0

    def has_unfinished(self, project_uid: str) -> bool:
        """Return whether a training of a project has not ended."""
        query = select(trainings.c.id).where(
            trainings.c.status == "queued", trainings.c.project_uid == project_uid
        )
        with self._database.reading() as connection:
            return connection.scalar(query) is not None

    def nth_latest(self, project_uid: str, number: int) -> datetime | None:
        """Return when the `number`-th latest training of a project was requested, from 1.

        Returns:
            None if it has had fewer.
        """
        query = (
            select(trainings.c.created_at)
            .where(trainings.c.project_uid == project_uid)
            .order_by(trainings.c.id.desc())
            .offset(number - 1)
            .limit(1)
        )
        with self._database.reading() as connection:
            return connection.scalar(query)
