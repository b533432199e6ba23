"""SQL for what actions cost in each project; the next step of the project is made with it."""

from collections.abc import Mapping

from sqlalchemy import select, update

from backend.database.connection import Database, now
from backend.learning.tables import team_costs


class CostStorage:
    """The table of costs. `worth.Costs` says which there are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def costs(self, project_uid: str) -> Mapping[str, float]:
        """Return the seconds of the actions that were measured; empty if none was."""
        query = select(team_costs.c.costs).where(team_costs.c.project_uid == project_uid)
        with self._database.reading() as connection:
            return connection.scalar(query) or {}

    def counted(self) -> dict[str, int]:
        """Return, for each project that was measured, how many annotations it had then."""
        with self._database.reading() as connection:
            rows = connection.execute(select(team_costs.c.project_uid, team_costs.c.annotations))
            return {row.project_uid: row.annotations for row in rows}

    def claim(self, project_uid: str, before: int, annotations: int) -> bool:
        """Claim the measurement of a project; what was measured before stays until `save`.

        Args:
            before: what `counted` says; 0 if nothing.
            annotations: how many there are now.

        Returns:
            False if another process was faster.
        """
        row = {"annotations": annotations, "measured_at": now()}
        with self._database.writing() as connection:
            if before == 0:
                inserted = connection.execute(
                    self._database.insert(team_costs)
                    .values(project_uid=project_uid, costs={}, **row)
                    .on_conflict_do_nothing()
                    .returning(team_costs.c.project_uid)
                )
                return inserted.first() is not None
            claimed = connection.execute(
                update(team_costs)
                .where(team_costs.c.project_uid == project_uid, team_costs.c.annotations == before)
                .values(row)
            )
            return claimed.rowcount == 1

    def save(self, project_uid: str, costs: Mapping[str, float]) -> None:
        """Store what was measured after a claim."""
        with self._database.writing() as connection:
            connection.execute(
                update(team_costs)
                .where(team_costs.c.project_uid == project_uid)
                .values(costs=dict(costs), measured_at=now())
            )
