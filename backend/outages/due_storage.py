"""SQL that finds the rows of a table that workers can take now, project by project."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, TextClause, select

from backend.database.connection import Database, now
from backend.outages.storage import is_due

# Returns a further condition of the rows of a project, given its uid.
OfProject = Callable[[Connection, str], ColumnElement[bool]]


class DueRows:
    """The rows of a table that wait for a worker and for nothing else.

    Each query reads a handful of entries of an index, however many rows wait.

    Args:
        table: with `id`, `round`, `project_uid` and the `waiting_columns`.
        waits: the condition that a row waits for nothing but a worker, in the words of a partial
            index, if there is one.
        order: the columns that say which rows of a project come first.
        of_project: a further condition; None for none.
    """

    def __init__(
        self,
        database: Database,
        table: Table,
        waits: TextClause,
        order: Sequence[Column[Any]],
        of_project: OfProject | None = None,
    ) -> None:
        self._database = database
        self._table = table
        self._waits = waits
        self._order = order
        self._of_project = of_project

    def projects(self) -> list[str]:
        """Return the uids of the projects that have such a row, sorted."""
        uid = self._table.c.project_uid
        found: list[str] = []
        with self._database.reading() as connection:
            # One look-up a project: a database that groups would read the entries of all rows.
            query = self._select(uid).order_by(uid).limit(1)
            after = connection.scalar(query)
            while after is not None:
                found.append(after)
                after = connection.scalar(query.where(uid > after))
        return found

    def first(self, project_uid: str, limit: int) -> list[tuple[int, int]]:
        """Return (id, round) of the rows of a project that come first."""
        columns = self._table.c
        query = self._select(columns.id, columns.round).where(columns.project_uid == project_uid)
        query = query.order_by(*self._order).limit(limit)
        with self._database.reading() as connection:
            if self._of_project is not None:
                query = query.where(self._of_project(connection, project_uid))
            return [(row.id, row.round) for row in connection.execute(query)]

    def _select(self, *columns: Column[Any]) -> Select[Any]:
        return select(*columns).where(self._waits, is_due(self._table.c.retry_at, now()))
