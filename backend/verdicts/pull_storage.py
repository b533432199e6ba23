"""SQL of pulls: when each project was pulled, and what the log knows of the tasks on a page."""

from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import takewhile

from sqlalchemy import ColumnElement, FromClause, delete, func, select

from backend.database.connection import Database
from backend.database.schema import LARGEST_ID
from backend.database.text import storable
from backend.verdicts.queries import current_states, not_retracted
from backend.verdicts.records import Filters, SyncRun
from backend.verdicts.tables import states, sync_runs

MOST_SYNC_RUNS = 50  # of each project; a pull an hour would add 9,000 a year


@dataclass(frozen=True, slots=True)
class KnownState:
    """The state of an annotation that counts: when the annotation was made, and what it holds."""

    made_at: datetime
    digest: str


class PullStorage:
    """The table of pulls, and the part of the log that a pull compares with Label Studio."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_sync_run(self, run: SyncRun) -> None:
        """Store the result of pulling one project, and forget the oldest ones of the project."""
        problem = None if run.problem is None else storable(run.problem)
        of_project = sync_runs.c.project_uid == run.project_uid
        with self._database.writing() as connection:
            connection.execute(sync_runs.insert().values({**asdict(run), "problem": problem}))
            ids = select(sync_runs.c.id).where(of_project).order_by(sync_runs.c.id.desc())
            oldest_kept = ids.offset(MOST_SYNC_RUNS - 1).limit(1).scalar_subquery()
            connection.execute(delete(sync_runs).where(of_project, sync_runs.c.id < oldest_kept))

    def last_synced_at(self, project_uid: str) -> datetime | None:
        """Return when the latest pull of a project started; None if there was none."""
        latest = select(func.max(sync_runs.c.id)).where(sync_runs.c.project_uid == project_uid)
        query = select(sync_runs.c.started_at).where(sync_runs.c.id == latest.scalar_subquery())
        with self._database.reading() as connection:
            moment: datetime | None = connection.scalar(query)
        return moment

    def failed_pulls(self, project_uid: str) -> int:
        """Return how many of the latest pulls of a project failed in a row, 20 at most."""
        query = (
            select(sync_runs.c.problem)
            .where(sync_runs.c.project_uid == project_uid)
            .order_by(sync_runs.c.id.desc())
            .limit(20)
        )
        with self._database.reading() as connection:
            problems = connection.scalars(query)
            return sum(1 for _ in takewhile(lambda problem: problem is not None, problems))

    def known_annotations(
        self, project_uid: str, after: int = 0, until: int = LARGEST_ID
    ) -> dict[int, datetime]:
        """Return the annotations of a project that count, and when each was made.

        Args:
            after, until: only those of tasks with ids above `after`, up to `until`.
        """
        known = self.known_states(project_uid, after, until)
        return {annotation_id: state.made_at for annotation_id, state in known.items()}

    def known_states(
        self, project_uid: str, after: int = 0, until: int = LARGEST_ID
    ) -> dict[int, KnownState]:
        """Return the states of the annotations of a project that count.

        Args:
            after, until: as in `known_annotations`.
        """
        current = current_states(Filters(), ("judged", "skipped", "unused"))
        query = select(current.c.annotation_id, current.c.made_at, current.c.digest)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(*_of_tasks(current, project_uid, after, until)))
            return {row.annotation_id: KnownState(row.made_at, row.digest) for row in rows}

    def retracted(
        self, project_uid: str, after: int = 0, until: int = LARGEST_ID
    ) -> set[tuple[int, datetime]]:
        """Return the annotations, as (id, made at), that the log records as deleted.

        Args:
            after, until: as in `known_annotations`.
        """
        query = (
            select(states.c.annotation_id, states.c.made_at)
            .where(*_of_tasks(states, project_uid, after, until), ~not_retracted(states))
            .distinct()
        )
        with self._database.reading() as connection:
            return {(row.annotation_id, row.made_at) for row in connection.execute(query)}


def _of_tasks(
    state: FromClause, project_uid: str, after: int, until: int
) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a state is of a project's tasks with ids above `after`."""
    task_id = state.c.task_id
    return (state.c.project_uid == project_uid, task_id > after, task_id <= until)
