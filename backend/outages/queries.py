"""SQL that tells which work of a table waits, has failed or was given up, and for which reasons."""

import re
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    update,
)

from backend.database.connection import Database
from backend.outages.records import GIVEN_UP, JobFilter, WaitCount

# What differs from task to task in the same reason.
_PATHS = re.compile(r"(https?://[^/\s]+)/[^\s,;]*")


def waits(table: Table) -> ColumnElement[bool]:
    """Return the condition that a row waits, for a service or for a pause to end."""
    return or_(table.c.waiting_for.is_not(None), table.c.retry_at.is_not(None))


def given_up_reason(table: Table) -> ColumnElement[str]:
    """Return the reason of a row that has waited for too long: the last one, marked as such."""
    return literal(GIVEN_UP) + _reason(table)


def retry(
    connection: Connection,
    table: Table,
    wanted: JobFilter,
    condition: ColumnElement[bool],
    values: Mapping[str, object],
) -> int:
    """Set these columns in the rows that are wanted and meet a condition; count them."""
    found = connection.execute(
        update(table).where(condition, *_matches(table, wanted)).values(values)
    )
    return found.rowcount


def _reason(table: Table) -> ColumnElement[str]:
    return func.coalesce(table.c.reason, "")


def _matches(table: Table, wanted: JobFilter) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that rows are of a project and have a reason."""
    conditions = []
    if wanted.project_uid is not None:
        conditions.append(table.c.project_uid == wanted.project_uid)
    if wanted.reason is not None:
        conditions.append(_reason(table).like(_pattern(wanted.reason), escape="\\"))
    return tuple(conditions)


def _pattern(part: str) -> str:
    """Return what LIKE compares with: a part of a reason, in which … stands for what was cut."""
    plain = re.sub(r"([\\%_])", r"\\\1", part)
    return f"%{plain.replace('…', '%')}%"


def count_by_reason(
    database: Database,
    table: Table,
    wanted: JobFilter,
    *,
    kind: str,
    pending: ColumnElement[bool],
    failed: ColumnElement[bool] | None,
    asked_at: ColumnElement[datetime],
) -> list[WaitCount]:
    """Count the rows of a table that are not done, by project, state and reason.

    Args:
        kind: what the rows are, for people.
        pending, failed: conditions of rows that are to be done, and that are not done any more;
            None if no row is.
        asked_at: column with the time that the age of a row is counted from.
    """
    reason = _reason(table)
    given_up = table.c.reason.startswith(GIVEN_UP)
    ended = [] if failed is None else [(and_(failed, given_up), "given up"), (failed, "failed")]
    state = case(*ended, (waits(table), "waiting"), else_="queued")
    # An expression, because SQLite would read the whole table in the order of an index to group it.
    project_uid = func.coalesce(table.c.project_uid, "")
    columns = (project_uid, state, reason, table.c.waiting_for)
    undone = pending if wanted.with_queued else and_(pending, waits(table))
    query = (
        select(*columns, func.count(), func.min(asked_at))
        .where(undone if failed is None else or_(undone, failed), *_matches(table, wanted))
        .group_by(*columns)
    )
    found: dict[tuple[str, str, str, str | None], WaitCount] = {}
    with database.reading() as connection:
        for uid, state_, reason_, service, count, oldest in connection.execute(query):
            alike = _PATHS.sub(r"\1/…", reason_) if state_ != "queued" else ""
            key = (uid, state_, alike, service)
            one = WaitCount(kind, uid, state_, alike, service, count, oldest)
            before = found.get(key)
            found[key] = one if before is None else before.joined(one)
    return sorted(found.values(), key=lambda each: (each.project_uid, each.state, -each.count))
