"""SQL of outages, and of the rows that wait until one is over.

Rows that wait have three columns (see `waiting_columns`), so that every table of work has its work
found again by the same statements.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, func, or_, select, update

from backend.database.connection import Database, now
from backend.database.schema import WAITS_NO_MORE
from backend.database.text import storable
from backend.outages.records import Cause, Outage
from backend.outages.tables import outages
from backend.retries import LONGEST_PAUSE, WAIT, jittered


def is_due(column: ColumnElement[Any], moment: datetime) -> ColumnElement[bool]:
    """Return the condition that a pause is over.

    No pause is as long as a moment in the far future says: the clock was set back since.
    """
    far = moment + timedelta(seconds=2 * LONGEST_PAUSE)
    return or_(column.is_(None), column <= moment, column > far)


class OutageStorage:
    """The table of outages, which all processes share."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def outage(self, service: str) -> Outage | None:
        """Return what is known of a service; None if its latest request did not fail."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(outages).where(outages.c.service == service)
            ).one_or_none()
        return None if row is None else Outage(**row._mapping)

    def away(self) -> list[Outage]:
        """Return the services that get nothing but probes, sorted by name."""
        query = select(outages).where(outages.c.is_away).order_by(outages.c.service)
        with self._database.reading() as connection:
            return [Outage(**row._mapping) for row in connection.execute(query)]

    def claim_probe(self, service: str, seconds: float) -> bool:
        """Take the right to probe a service, which nobody else has for so many seconds.

        Returns:
            False if it is not time yet, or another process was faster.
        """
        moment = now()
        with self._database.writing() as connection:
            claimed = connection.execute(
                update(outages)
                .where(outages.c.service == service, is_due(outages.c.probe_at, moment))
                .values(probe_at=moment + timedelta(seconds=seconds))
            )
        return claimed.rowcount == 1

    def record_failure(
        self, service: str, reason: str, *, limit: int, pause: Callable[[int], float]
    ) -> Outage:
        """Count a failure.

        Args:
            limit: the service is away from this number of failures in a row on.
            pause: returns the seconds until the next probe, given the failures before.
        """
        moment = now()
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(outages)
                .values(
                    service=service,
                    since=moment,
                    failures=0,
                    is_away=False,
                    probe_at=moment,
                    reason="",
                )
                .on_conflict_do_nothing()
            )
            this = outages.c.service == service
            row = connection.execute(
                select(outages.c.failures, outages.c.is_away).where(this).with_for_update()
            ).one()
            connection.execute(
                update(outages)
                .where(this)
                .values(
                    failures=row.failures + 1,
                    is_away=row.is_away or row.failures + 1 >= limit,
                    probe_at=moment + timedelta(seconds=pause(row.failures)),
                    reason=storable(reason),
                )
            )
            found = connection.execute(select(outages).where(this)).one()
        return Outage(**found._mapping)

    def end(self, service: str) -> bool:
        """Forget the failures of a service, and return whether there were any."""
        with self._database.writing() as connection:
            ended = connection.execute(delete(outages).where(outages.c.service == service))
        return ended.rowcount == 1

    def forget(self, before: datetime, waited_for: Collection[str]) -> int:
        """Forget the services that nobody has asked since a moment, and nothing waits for.

        Callers can name any host of images, so there may be no end of them.
        """
        unasked = (outages.c.probe_at < before, outages.c.service.not_in(list(waited_for)))
        with self._database.writing() as connection:
            return connection.execute(delete(outages).where(*unasked)).rowcount


class WaitingRows:
    """The rows of a table that wait for a service that is away.

    Args:
        table: with an `id` and the `waiting_columns`.
        wake_values: returns further columns to set in rows that wait no more, given the moment.
    """

    def __init__(
        self,
        database: Database,
        table: Table,
        wake_values: Callable[[datetime], Mapping[str, object]] = lambda _: {},
    ) -> None:
        self._database = database
        self._table = table
        self._wake_values = wake_values

    def postpone(
        self, row_id: int, pending: ColumnElement[bool], cause: Cause, *, patience: float
    ) -> bool:
        """Let a row wait: for its service, or for a pause that grows with the time it has waited.

        Args:
            pending: the condition that the row is still to be done; else nothing happens.
            patience: s that it may wait in all.

        Returns:
            False, with nothing changed, if it has waited longer.
        """
        table, moment = self._table, now()
        with self._database.writing() as connection:
            row = connection.execute(
                select(table.c.failing_since, table.c.retry_at)
                .where(table.c.id == row_id, pending)
                .with_for_update()
            ).one_or_none()
            if row is None:
                return True
            since = min(row.failing_since or moment, moment)
            waited = (moment - since).total_seconds()
            if waited > patience:
                return False
            values: dict[str, object] = {"failing_since": since, "waiting_for": cause.away}
            if cause.away is None:
                pause = max(cause.retry_after or 0.0, jittered(WAIT.grown(waited)))
                values["retry_at"] = moment + timedelta(seconds=min(pause, LONGEST_PAUSE))
            else:
                values["retry_at"] = moment if cause.sent else row.retry_at
            values["reason"] = storable(cause.reason)
            connection.execute(update(table).where(table.c.id == row_id).values(values))
        return True

    def wake(self, away: Collection[str]) -> int:
        """Let the rows go on whose services are not among those that are away; count them."""
        waiting_for = self._table.c.waiting_for
        if not self._any_waiting():
            return 0
        return self._wake(waiting_for.is_not(None), waiting_for.not_in(list(away)))

    def wake_one(self, service: str) -> bool:
        """Let one row go on, to find out whether its service is back.

        The one that was tried longest ago, so that one that always fails does not speak for all.

        Returns:
            False if none waits for the service.
        """
        tried_at = self._table.c.retry_at
        one = (
            select(self._table.c.id)
            .where(self._table.c.waiting_for == service)
            .order_by(tried_at.is_not(None), tried_at, self._table.c.id)
            .limit(1)
            .scalar_subquery()
        )
        return self._wake(self._table.c.id == one) > 0

    def give_up(self, before: datetime, *conditions: ColumnElement[bool], **values: object) -> int:
        """End the rows that have waited since before a moment, and count them.

        Args:
            conditions: further ones that the rows meet.
            values: of their other columns.
        """
        table = self._table
        overdue = (table.c.waiting_for.is_not(None), table.c.failing_since < before)
        with self._database.writing() as connection:
            given_up = connection.execute(
                update(table).where(*overdue, *conditions).values(**values, **WAITS_NO_MORE)
            )
        return given_up.rowcount

    def counts(self) -> dict[str, int]:
        """Return how many rows wait for each service."""
        waiting_for = self._table.c.waiting_for
        query = select(waiting_for, func.count()).where(waiting_for.is_not(None))
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(waiting_for))
            return {row[0]: row[1] for row in rows}

    def _any_waiting(self) -> bool:
        query = select(self._table.c.id).where(self._table.c.waiting_for.is_not(None)).limit(1)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def _wake(self, *conditions: ColumnElement[bool]) -> int:
        with self._database.writing() as connection:
            woken = connection.execute(
                update(self._table)
                .where(*conditions)
                .values(waiting_for=None, retry_at=None, **self._wake_values(now()))
            )
        return woken.rowcount
