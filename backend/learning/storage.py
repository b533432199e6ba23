"""SQL for examples: what annotations teach, and the work of extracting their features.

Each transaction that changes a project's examples locks the project first and ends with
`step_storage.advance`, so that the examples and the step made of them never disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, insert, select, update

from backend.database.connection import Database, now
from backend.database.schema import WAITS_NO_MORE
from backend.database.text import storable
from backend.learning.queries import (
    EXAMPLE_COLUMNS,
    example_from_row,
    lock_project,
    waiting_examples,
    waiting_values,
)
from backend.learning.records import Described, Example, LearningStatus, Lesson
from backend.learning.selection_storage import has_room, select_examples
from backend.learning.status_storage import learning_status, learning_statuses
from backend.learning.step_storage import advance
from backend.learning.tables import examples
from backend.outages.records import Cause
from backend.retries import DETECTION_JOB, jittered

LEARNT = ("ready", "spare")


def replace_lessons(
    connection: Connection,
    project_uid: str,
    annotation_id: int,
    current: Mapping[datetime, Sequence[Lesson]],
    *,
    limit: int,
) -> None:
    """Make the examples of an annotation's id exactly these; harmless if repeated.

    The features are kept if only the points changed. Examples that are not listed are deleted, with
    their features.

    Args:
        current: moment at which the annotation was made → what it says; several annotations may
            have had the id, one after the other.
        limit: see `advance`.
    """
    lock_project(connection, project_uid)
    of_annotation = (
        examples.c.project_uid == project_uid,
        examples.c.annotation_id == annotation_id,
    )
    query: Select[Any] = select(*EXAMPLE_COLUMNS, examples.c.made_at).where(*of_annotation)
    rows = connection.execute(query)
    known = {(row.made_at, row.object): row for row in rows}
    wanted = {(made_at, each.object): each for made_at, some in current.items() for each in some}
    is_learnt_changed = False  # what only waits is in no step
    for identity, lesson in wanted.items():
        row = known.pop(identity, None)
        if row is None:
            _add(connection, project_uid, annotation_id, identity[0], lesson, limit)
        else:
            is_learnt_changed |= _update(connection, row, lesson) and row.status in LEARNT
    gone = [row.id for row in known.values()]
    if gone:
        connection.execute(delete(examples).where(examples.c.id.in_(gone)))
    if is_learnt_changed or any(row.status in LEARNT for row in known.values()):
        advance(connection, project_uid, limit=limit)


def _add(
    connection: Connection,
    project_uid: str,
    annotation_id: int,
    made_at: datetime,
    lesson: Lesson,
    limit: int,
) -> None:
    connection.execute(
        insert(examples).values(
            **_values(lesson),
            project_uid=project_uid,
            annotation_id=annotation_id,
            made_at=made_at,
            status="waiting" if has_room(connection, project_uid, limit) else "reserve",
            round=1,
            attempts=0,
            failures=0,
        )
    )


def _update(connection: Connection, row: Row[Any], lesson: Lesson) -> bool:
    """Update a row, and return whether anything changed."""
    before = example_from_row(row)
    if lesson.drawn is not None and before.drawn == lesson.drawn:
        return False  # what the job has completed since stays
    if dict(before.points) == dict(lesson.points):
        # A label that was added to the configuration since could not have been used.
        lesson = replace(lesson, absent=before.absent)
    if before.digest == lesson.digest:
        return False
    values = _values(lesson)
    looked_at_otherwise = (before.image_url, before.box) != (lesson.image_url, lesson.box)
    # A job that is completing a drawing must not overwrite what is known since.
    if looked_at_otherwise or (before.drawn or lesson.drawn) is not None:
        values |= waiting_values()
    connection.execute(update(examples).where(examples.c.id == row.id).values(values))
    return True


def _values(lesson: Lesson) -> dict[str, object]:
    box = None if lesson.box is None else asdict(lesson.box)
    points = {label: list(place) for label, place in lesson.points.items()}
    values = {field.name: getattr(lesson, field.name) for field in fields(Lesson)}
    return values | {
        "box": box,
        "points": points,
        "absent": list(lesson.absent),
        "visibility": dict(lesson.visibility) or None,
        "changed_at": now(),
    }


class ExampleStorage:
    """The table of examples.

    An example is `waiting` until a worker has extracted its features (`ready`) or given up on it
    (`failed`). Beyond the limit, examples that tell least become `spare`, without features, or are
    never looked at (`reserve`).

    Args:
        limit: largest number of examples a project whose features are kept.
    """

    def __init__(self, database: Database, *, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._waiting = waiting_examples(database)

    def next_round(self, example_id: int, after: int) -> bool:
        """Begin the round that follows `after`, whose job will not extract the features.

        Returns:
            False if another process was faster, or the row no longer waits.
        """
        return self._update_waiting(example_id, examples.c.round == after, round=after + 1)

    def start_attempt(self, example_id: int) -> Example | None:
        """Count an attempt of a worker, if the row is waiting.

        Returns:
            The row, or None if it does not exist: the annotation may be deleted.
        """
        self._update_waiting(example_id, attempts=examples.c.attempts + 1)
        return self.example(example_id)

    def undo_attempt(self, example_id: int) -> None:
        """Uncount an attempt that was interrupted through no fault of the example."""
        self._update_waiting(example_id, attempts=examples.c.attempts - 1)

    def example(self, example_id: int) -> Example | None:
        """Return a row, or None if it does not exist."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(*EXAMPLE_COLUMNS).where(examples.c.id == example_id)
            ).one_or_none()
        return None if row is None else example_from_row(row)

    def finish(self, example: Example, key: str, described: Described) -> bool:
        """Store the features of an example, unless it changed or was forgotten meanwhile.

        Args:
            example: completed by the image; see `first_look`.

        Returns:
            Whether they were stored.
        """
        with self._database.writing() as connection:
            lock_project(connection, example.project_uid)
            found = connection.execute(
                update(examples)
                .where(
                    examples.c.id == example.id,
                    examples.c.status == "waiting",
                    # Its image and box are those that the features were extracted from.
                    examples.c.round == example.round,
                )
                .values(
                    **_values(example) if example.drawn is not None else {"changed_at": now()},
                    status="ready",
                    reason=None,
                    key=key,
                    features=described.close,
                    whole=described.whole,
                    **WAITS_NO_MORE,
                )
            )
            if found.rowcount == 0:
                return False
            advance(connection, example.project_uid, limit=self._limit)
        return True

    def fail(self, example_id: int, reason: str) -> None:
        """Give up on an example, unless it no longer waits."""
        values = {"status": "failed", "reason": storable(reason)}
        self._update_waiting(example_id, **values, **WAITS_NO_MORE)

    def postpone(self, example_id: int, cause: Cause, *, patience: float) -> bool:
        """Let a waiting example wait for something outside of it; its attempt does not count.

        Returns:
            False if it has waited for longer than `patience`, s.
        """
        pending = examples.c.status == "waiting"
        if not self._waiting.postpone(example_id, pending, cause, patience=patience):
            return False
        self.undo_attempt(example_id)
        return True

    def record_failure(self, example_id: int, reason: str, *, limit: int) -> bool:
        """Count a failure for an unknown reason, and give up after more than `limit` of them.

        Returns:
            Whether to try again.
        """
        failures = examples.c.failures
        self._update_waiting(
            example_id,
            failures=failures + 1,
            retry_at=now() + timedelta(seconds=jittered(DETECTION_JOB.first)),
            reason=storable(reason),
        )
        return not self._update_waiting(example_id, failures > limit, status="failed")

    def extract_again(self, project_uid: str) -> int:
        """Have the features of a project's examples extracted anew, also of failed ones.

        Returns:
            The number of examples, of which as many as are kept will be extracted.
        """
        with self._database.writing() as connection:
            lock_project(connection, project_uid)
            found = connection.execute(
                update(examples)
                .where(examples.c.project_uid == project_uid)
                .values(**waiting_values(), changed_at=now())
            )
            select_examples(connection, project_uid, limit=self._limit)
            advance(connection, project_uid, limit=self._limit)
        return found.rowcount

    def select(self, project_uid: str) -> None:
        """Choose which examples are looked at, after many were added; see `select_examples`."""
        with self._database.writing() as connection:
            lock_project(connection, project_uid)
            select_examples(connection, project_uid, limit=self._limit)

    def project_uids(self) -> list[str]:
        """Return the uids of the projects that have an example, sorted."""
        column = examples.c.project_uid
        with self._database.reading() as connection:
            return list(connection.scalars(select(column).distinct().order_by(column)))

    def status(self, project_uid: str, base_version: str) -> LearningStatus:
        """Return how far the learning of a project is; see `learning_status`."""
        return learning_status(self._database, project_uid, base_version)

    def statuses(self, base_versions: Mapping[str, str]) -> dict[str, LearningStatus]:
        """Return how far the learning of projects is; see `learning_statuses`."""
        return learning_statuses(self._database, base_versions)

    def _update_waiting(
        self, example_id: int, *conditions: ColumnElement[bool], **values: object
    ) -> bool:
        """Change a row if it waits and the conditions hold, and return whether they did."""
        with self._database.writing() as connection:
            found = connection.execute(
                update(examples)
                .where(examples.c.id == example_id, examples.c.status == "waiting", *conditions)
                .values(**values)
            )
        return found.rowcount == 1
