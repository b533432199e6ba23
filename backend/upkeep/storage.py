"""SQL of the name of a deployment."""

from datetime import datetime

from sqlalchemy import select, text

from backend.database.connection import Database
from backend.upkeep.tables import deployments


class DeploymentStorage:
    """What tells one database from another, and the clock of its server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def name(self) -> str:
        """Return the random name that this database got when it was made or restored."""
        with self._database.reading() as connection:
            return str(connection.scalar(select(deployments.c.name)))

    def clock(self) -> datetime | None:
        """Return the time on the server of the database; None for SQLite, which has none."""
        if self._database.engine.dialect.name == "sqlite":
            return None
        with self._database.reading() as connection:
            moment: datetime | None = connection.scalar(text("SELECT clock_timestamp()"))
        return moment
