"""SQL about the trainings that wait for something outside of them."""

from datetime import datetime

from sqlalchemy import and_

from backend.database.connection import Database, now
from backend.database.schema import WAITS_NO_MORE
from backend.outages.due_storage import DueRows
from backend.outages.queries import count_by_reason, given_up_reason, retry, waits
from backend.outages.records import JobFilter, WaitCount
from backend.outages.storage import WaitingRows
from backend.training.tables import WAITS_FOR_WORKER, trainings


def waiting_trainings(database: Database) -> WaitingRows:
    """Return the trainings that wait for a service."""
    return WaitingRows(database, trainings)


def due_trainings(database: Database) -> DueRows:
    """Return the trainings that workers can make now."""
    return DueRows(database, trainings, WAITS_FOR_WORKER, (trainings.c.id,))


def give_up_waiting_trainings(database: Database, before: datetime) -> int:
    """Give up the trainings that have waited since before a moment, and count them."""
    return waiting_trainings(database).give_up(
        before,
        status="failed",
        reason=given_up_reason(trainings),
        progress=None,
        finished_at=now(),
    )


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
    waiting = and_(trainings.c.status == "queued", waits(trainings))
    with database.writing() as connection:
        return retry(connection, trainings, wanted, waiting, WAITS_NO_MORE)
