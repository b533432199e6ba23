"""Metadata, the type for times and the largest id, shared by all tables."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Dialect, MetaData, Text, TypeDecorator, text

LARGEST_ID = 2**63 - 1  # of a BigInteger column


class Time(TypeDecorator[datetime]):
    """A time in UTC; SQLite has no time zones, so it is stored there without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# What a row forgets that waits for nothing outside of it; see `waiting_columns`.
WAITS_NO_MORE: dict[str, None] = dict.fromkeys(("waiting_for", "retry_at", "failing_since"))
# Partial indexes hold only the rows that wait.
WAITS = text("waiting_for IS NOT NULL")


def waiting_columns() -> list[Column[Any]]:
    """Return the columns of work that may have to wait for something outside of it.

    `waiting_for` names the service that is away, and keeps the row from every queue. `retry_at`
    says when the row is tried again or, with a service, when it was tried last. `failing_since` is
    when the first of the failures in a row happened.
    """
    return [Column("waiting_for", Text), Column("retry_at", Time), Column("failing_since", Time)]
