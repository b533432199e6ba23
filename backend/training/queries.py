"""SQL about the trainings that wait for something outside of them."""

from datetime import datetime

from sqlalchemy import func, literal, or_, update

from backend.database.connection import Database, now
from backend.database.schema import WAITS_NO_MORE
from backend.outages.queries import count_by_reason, matches
from backend.outages.records import GIVEN_UP, JobFilter, WaitCount
from backend.outages.storage import WaitingRows
from backend.training.tables import trainings


def waiting_trainings(database: Database) -> WaitingRows:
    """Return the trainings that wait for a service."""
    return WaitingRows(database, trainings)


def give_up_waiting_trainings(database: Database, before: datetime) -> int:
    """Give up the trainings that have waited since before a moment, and count them."""
    with database.writing() as connection:
        given_up = connection.execute(
            update(trainings)
            .where(trainings.c.waiting_for.is_not(None), trainings.c.failing_since < before)
            .values(
                status="failed",
                reason=literal(GIVEN_UP) + func.coalesce(trainings.c.reason, ""),
                progress=None,
                finished_at=now(),
                **WAITS_NO_MORE,
            )
        )
    return given_up.rowcount


def count_trainings(database: Database, wanted: JobFilter) -> list[WaitCount]:
    """Count the trainings that have not ended with a model, by reason."""
    return count_by_reason(
        database,
        trainings,
        wanted,
        kind="training",
        pending=trainings.c.status == "queued",
        failed=trainings.c.status == "failed",
        asked_at=trainings.c.created_at,
    )


def retry_trainings(database: Database, wanted: JobFilter) -> int:
    """Let trainings that wait go on now, and count them. People start failed ones anew."""
    waits = or_(trainings.c.waiting_for.is_not(None), trainings.c.retry_at.is_not(None))
    chosen = matches(trainings, wanted, func.coalesce(trainings.c.reason, ""))
    with database.writing() as connection:
        found = connection.execute(
            update(trainings)
            .where(trainings.c.status == "queued", waits, *chosen)
            .values(**WAITS_NO_MORE)
        )
    return found.rowcount
