"""SQL that tells how far the work is, for people who watch it; cheap with 100,000 waiting rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, TextClause, and_, func, literal, select

from backend.database.connection import Database, now
from backend.learning.tables import examples
from backend.suggestions.queries import undelivered
from backend.suggestions.tables import WAITS_OPENED, interactive_answers, predictions
from backend.training.tables import trainings

LATELY = timedelta(minutes=5)
# An annotator who placed a point has gone on without an answer by then.
INTERACTIVE_LASTS = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class QueueState:
    """What waits in a queue.

    Attributes:
        name: `interactive`, `corrections`, `opened`, `predictions`, `deliveries` or `trainings`.
        oldest: since when the first has waited; None if none waits.
    """

    name: str
    waiting: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Batch:
    """The running batch of a project: what was done since the oldest waiting task was requested.

    Attributes:
        waiting: predictions that are not made yet.
        oldest: when the first of them was requested.
        done: predictions made or given up since then.
        seconds_left: estimate, from the pace of the last `LATELY`; None if none was made.
    """

    waiting: int
    oldest: datetime
    done: int
    seconds_left: float | None


class WorkStatus:
    """The queues and the running batches, as the database knows them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queues(self) -> list[QueueState]:
        """Return what waits, in the order in which workers take it."""
        moment = now()
        answer, due = interactive_answers.c, predictions.c
        # Each by an index that alone answers, so all are counted without those that are opened.
        opened = self._queue("opened", predictions, due.opened_at, WAITS_OPENED)
        batch = self._queue("predictions", predictions, due.asked_at, _is(due.status, "queued"))
        waiting = max(0, batch.waiting - opened.waiting)
        return [
            self._queue(
                "interactive",
                interactive_answers,
                answer.asked_at,
                and_(_is(answer.status, "queued"), answer.asked_at > moment - INTERACTIVE_LASTS),
            ),
            self._queue(
                "corrections", examples, examples.c.changed_at, examples.c.status == "waiting"
            ),
            opened,
            replace(batch, waiting=waiting, oldest=batch.oldest if waiting else None),
            self._queue(
                "deliveries",
                predictions,
                due.check_at,
                and_(undelivered(), due.check_at <= moment, due.to_deliver.is_(True)),
            ),
            self._queue(
                "trainings", trainings, trainings.c.created_at, trainings.c.status == "queued"
            ),
        ]

    def batches(self) -> Mapping[str, Batch]:
        """Return the running batch of each project that has one."""
        moment = now()
        running = (
            select(
                predictions.c.project_uid,
                func.count().label("waiting"),
                func.min(predictions.c.asked_at).label("oldest"),
            )
            .where(_is(predictions.c.status, "queued"))
            .group_by(predictions.c.project_uid)
            .subquery()
        )
        finished = (
            select(func.count())
            .where(predictions.c.project_uid == running.c.project_uid)
            .correlate(running)
        )
        since = finished.where(predictions.c.finished_at >= running.c.oldest)
        lately = finished.where(predictions.c.finished_at > moment - LATELY)
        query = select(running, since.scalar_subquery(), lately.scalar_subquery())
        with self._database.reading() as connection:
            return {
                uid: Batch(waiting, oldest, done, _seconds_left(waiting, made, moment - oldest))
                for uid, waiting, oldest, done, made in connection.execute(query)
            }

    def _queue(
        self,
        name: str,
        table: Table,
        since: ColumnElement[datetime],
        waits: ColumnElement[bool] | TextClause,
    ) -> QueueState:
        query = select(func.count(), func.min(since)).select_from(table).where(waits)
        with self._database.reading() as connection:
            count, oldest = connection.execute(query).one()
        return QueueState(name, count, oldest)


def _is(column: ColumnElement[str], status: str) -> ColumnElement[bool]:
    """Return a condition that a database recognises as that of a partial index."""
    return column == literal(status, literal_execute=True)


def _seconds_left(waiting: int, made: int, running: timedelta) -> float | None:
    """Estimate when a batch is done, given how many were made lately."""
    if made == 0:
        return None
    seconds = min(LATELY, max(running, timedelta(seconds=1))).total_seconds()
    return waiting * seconds / made
