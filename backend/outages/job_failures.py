"""How a job ends whose work failed: it waits, is tried again, or is given up."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, Protocol

from redis.exceptions import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError

from backend.outages.records import GIVEN_UP, Cause
from backend.queue.interruption import JobFailed
from backend.settings import Settings

logger = logging.getLogger(__name__)


class FailingRows(Protocol):
    """A table whose rows wait for what lies outside of them, or are given up."""

    def fail(self, row_id: int, reason: str, /) -> None:
        """Give up on a row."""

    def record_failure(self, row_id: int, reason: str, /, *, limit: int) -> bool:
        """Count a failure for an unknown reason, and return whether to try again."""

    def postpone(self, row_id: int, cause: Cause, /, *, patience: float) -> bool:
        """Let a row wait; False if it has waited for longer than `patience`, s."""


def postpone_job(
    rows: FailingRows, row_id: int, cause: Cause, *, about: str, settings: Settings
) -> None:
    """Let the row of the current job wait, which ends the job without a failure.

    Args:
        about: the task, for the log.

    Raises:
        JobFailed: the row has waited for too long.
    """
    if rows.postpone(row_id, cause, patience=settings.give_up_after):
        level = logging.WARNING if cause.sent else logging.DEBUG
        logger.log(level, "%s: %s (waiting)", about, cause.reason)
        return
    rows.fail(row_id, GIVEN_UP + cause.reason)
    raise JobFailed(f"{about}: {cause.reason} (given up)") from None


def fail_job(rows: FailingRows, row_id: int, reason: str, *, about: str) -> NoReturn:
    """Give up on the row of the current job, because the failure lies in the task.

    Raises:
        JobFailed: always.
    """
    rows.fail(row_id, reason)
    raise JobFailed(f"{about}: {reason} (given up)") from None


def retry_job(
    rows: FailingRows, row_id: int, reason: str, *, about: str, settings: Settings
) -> NoReturn:
    """Try the row of the current job again as often as JOB_RETRIES says: nobody knows the reason.

    Raises:
        JobFailed: always.
    """
    again = rows.record_failure(row_id, reason, limit=settings.job_retries)
    outcome = "tried again soon" if again else "given up"
    raise JobFailed(f"{about}: {reason} ({outcome})") from None


@contextmanager
def storage_needed(about: str) -> Iterator[None]:
    """End a job in one line if database or Redis are away; its row is queued again.

    Raises:
        JobFailed: they are.
    """
    try:
        yield
    except (OperationalError, InterfaceError, RedisError) as error:
        reason = str(error).partition("\n")[0]
        raise JobFailed(f"{about}: no database or Redis, tried again soon: {reason}") from None
