"""SQL that counts trainings, of one project and of all."""

from datetime import datetime

from sqlalchemy import func, select

from backend.database.connection import Database
from backend.training.tables import activations, trainings


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


def activated_models(database: Database) -> list[tuple[str | None, int]]:
    """Return (project, or None for the deployment; id of a model) of all activations that hold.

    The newest of each come first: the first one of a project is its active model.
    """
    query = (
        select(activations.c.project_uid, activations.c.model_id)
        .where(activations.c.undone_at.is_(None), activations.c.model_id.is_not(None))
        .order_by(activations.c.id.desc())
    )
    with database.reading() as connection:
        return [(row.project_uid, row.model_id) for row in connection.execute(query)]
