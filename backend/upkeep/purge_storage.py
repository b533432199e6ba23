"""SQL that deletes a project, an annotator, or what is older than a moment, with all that follows.

Everything is deleted in one transaction, so that figures are those of the log before or after it.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from backend.database.connection import Database, now
from backend.labelstudio.projects import project_id_of, projects
from backend.labelstudio.tables import webhook_secrets
from backend.learning.queries import lock_project
from backend.learning.step_storage import advance
from backend.learning.tables import examples, team_costs
from backend.suggestions.tables import interactive_answers
from backend.training.tables import activations, models
from backend.upkeep.event_bodies import Annotated, without_annotations
from backend.upkeep.queries import every_table
from backend.verdicts.tables import (
    changed_annotations,
    events,
    origins,
    purges,
    retractions,
    states,
    sync_runs,
)

ANNOTATION = ("project_uid", "annotation_id", "made_at")
# Rows of these follow from what was deleted, and nobody has to know how many.
UNCOUNTED = ("changed_annotations",)


class ModelInUse(RuntimeError):
    """A model of the project is that of the whole deployment; the message says what to do."""


class DryRun(Exception):
    """Nothing was deleted: the transaction is undone."""


class PurgeStorage:
    """Deletes rows, and keeps a note of how many.

    Args:
        limit: largest number of examples a project; see `learning.step_storage.advance`.
        dry_run: count what would be deleted, and delete nothing.
    """

    def __init__(self, database: Database, *, limit: int, dry_run: bool) -> None:
        self._database = database
        self._limit = limit
        self._dry_run = dry_run

    def purge_project(self, uid: str) -> dict[str, int]:
        """Delete a project with all that belongs to it, and return how many rows of each table.

        Raises:
            ModelInUse: the deployment uses a model that was trained for it.
        """

        def purge(connection: Connection, counts: Counter[str]) -> None:
            _expect_no_model_in_use(connection, uid)
            conditions = _conditions_of_project(connection, uid)
            for table in reversed(every_table()):
                condition = conditions.get(table.name)
                if condition is not None:
                    _delete(connection, counts, table, condition)

        return self._run("project", purge)

    def weights_of(self, uid: str) -> list[str]:
        """Return the names of the weights files of a project's models."""
        with self._database.reading() as connection:
            return list(
                connection.scalars(select(models.c.file).where(models.c.project_uid == uid))
            )

    def purge_annotator(self, annotator: int) -> dict[str, int]:
        """Delete all annotations of a person, and the number of the person from all others."""

        def purge(connection: Connection, counts: Counter[str]) -> None:
            own = states.c.annotator == annotator
            self._delete_annotations(connection, counts, own, annotator)
            changed = update(states).where(states.c.updated_by == annotator)
            counts["annotation_states, number removed"] += connection.execute(
                changed.values(updated_by=None)
            ).rowcount

        return self._run("annotator", purge)

    def purge_older(self, cutoff: datetime) -> dict[str, int]:
        """Delete what people did before a moment; predictions stay, they are the detector's."""

        def purge(connection: Connection, counts: Counter[str]) -> None:
            self._delete_annotations(connection, counts, states.c.updated_at < cutoff, None)
            old = events.c.received_at < cutoff
            self._delete_with_children(connection, counts, events, old)
            asked = interactive_answers.c.asked_at < cutoff
            _delete(connection, counts, interactive_answers, asked)
            _delete(connection, counts, retractions, retractions.c.at < cutoff)
            latest = select(func.max(sync_runs.c.id)).group_by(sync_runs.c.project_uid)
            superseded = and_(sync_runs.c.started_at < cutoff, sync_runs.c.id.not_in(latest))
            _delete(connection, counts, sync_runs, superseded)

        return self._run("older", purge, cutoff)

    def _run(self, kind: str, purge: Any, cutoff: datetime | None = None) -> dict[str, int]:
        counts: Counter[str] = Counter()
        try:
            with self._database.writing() as connection:
                purge(connection, counts)
                found = {name: count for name, count in sorted(counts.items()) if count}
                connection.execute(
                    insert(purges).values(purged_at=now(), kind=kind, cutoff=cutoff, counts=found)
                )
                if self._dry_run:
                    raise DryRun
        except DryRun:
            pass
        return found

    def _delete_annotations(
        self,
        connection: Connection,
        counts: Counter[str],
        condition: ColumnElement[bool],
        annotator: int | None,
    ) -> None:
        """Delete states, and what is about annotations that have none left."""
        keys = [states.c[name] for name in ANNOTATION]
        asked = select(*keys).where(condition).distinct()
        found = {Annotated(*row) for row in connection.execute(asked)}
        self._delete_with_children(connection, counts, states, condition)
        for table in (origins, examples):
            _delete(connection, counts, table, _without_state(table, found))
        gone = _without_state(retractions, found)
        _delete(connection, counts, retractions, gone)
        _delete(connection, counts, changed_annotations, _of(changed_annotations, found))
        if annotator is not None:
            self._clean_events(connection, counts, found, annotator)
        for uid in sorted({each.project_uid for each in found}):
            lock_project(connection, uid)
            _delete(connection, counts, team_costs, team_costs.c.project_uid == uid)
            advance(connection, uid, limit=self._limit)

    def _clean_events(
        self,
        connection: Connection,
        counts: Counter[str],
        found: set[Annotated],
        annotator: int,
    ) -> None:
        """Delete what Label Studio has sent about a person's annotations, as it was sent."""
        empty = []
        for row in connection.execute(
            select(events.c.id, events.c.project_id, events.c.body)
        ).all():
            body = without_annotations(row.body, row.project_id, annotator, found)
            if body is None:
                empty.append(row.id)
            elif body != row.body:
                connection.execute(update(events).where(events.c.id == row.id).values(body=body))
                counts["events, part removed"] += 1
        for start in range(0, len(empty), 500):
            some = events.c.id.in_(empty[start : start + 500])
            self._delete_with_children(connection, counts, events, some)

    def _delete_with_children(
        self,
        connection: Connection,
        counts: Counter[str],
        table: Table,
        condition: ColumnElement[bool],
    ) -> None:
        for child in reversed(every_table()):
            links = [key for key in child.foreign_keys if key.column.table is table]
            if links:
                gone = select(table.c.id).where(condition)
                _delete(connection, counts, child, or_(*(link.parent.in_(gone) for link in links)))
        _delete(connection, counts, table, condition)


def _delete(
    connection: Connection, counts: Counter[str], table: Table, condition: ColumnElement[bool]
) -> None:
    deleted = connection.execute(delete(table).where(condition)).rowcount
    if table.name not in UNCOUNTED:
        counts[table.name] += deleted


def _of(table: Table, found: set[Annotated]) -> ColumnElement[bool]:
    """Return the condition that a row is about one of these annotations, by its id."""
    pairs = sorted({(each.project_uid, each.annotation_id) for each in found})
    if not pairs:
        return false()
    return tuple_(table.c.project_uid, table.c.annotation_id).in_(pairs)


def _without_state(table: Table, found: set[Annotated]) -> ColumnElement[bool]:
    """Return the condition that a row is about one of these annotations, with no state left."""
    names = [name for name in ANNOTATION if name in table.c]
    left = exists().where(*(states.c[name] == table.c[name] for name in names))
    return and_(_of(table, found), ~left)


def _expect_no_model_in_use(connection: Connection, uid: str) -> None:
    query = (
        select(activations.c.id)
        .join(models, models.c.id == activations.c.model_id)
        .where(
            models.c.project_uid == uid,
            activations.c.undone_at.is_(None),
            or_(activations.c.project_uid.is_(None), activations.c.project_uid != uid),
        )
    )
    if connection.scalar(query.limit(1)) is not None:
        raise ModelInUse(
            f"expected no other project to use a model that was trained for project {uid}: choose "
            "another one for them with `python -m backend models use VERSION`"
        )


def _conditions_of_project(connection: Connection, uid: str) -> Mapping[str, ColumnElement[bool]]:
    """Return table → which of its rows belong to a project, by themselves or by what they refer to.

    New tables with the uid of a project are among them.
    """
    found: dict[str, ColumnElement[bool]] = {}
    for table in every_table():
        if table.name == "purges":
            continue
        conditions = []
        if table is projects:
            conditions.append(projects.c.uid == uid)
        elif "project_uid" in table.c:
            conditions.append(table.c.project_uid == uid)
        if table is events:
            conditions.append(_event_of_project(connection, uid))
        if table is webhook_secrets and not _is_number_reused(connection, uid):
            conditions.append(webhook_secrets.c.project_id == project_id_of(uid))
        for key in table.foreign_keys:
            parent = key.column.table
            if parent is not projects and parent.name in found:
                gone = select(key.column).where(found[parent.name])
                conditions.append(key.parent.in_(gone))
        if conditions:
            found[table.name] = or_(*conditions)
    return found


def _event_of_project(connection: Connection, uid: str) -> ColumnElement[bool]:
    """Return the condition that an event is of a project: Label Studio sends its number.

    Numbers are reused after a project is deleted; then its events are those before the next one.
    """
    number = project_id_of(uid)
    if number is None:
        return literal(False)
    uids = connection.scalars(select(projects.c.uid))
    made = sorted(each for each in map(_made_at, uids) if each[0] == number)
    own = _made_at(uid)
    later = [each[1] for each in made if each[1] > own[1]]
    condition = events.c.project_id == number
    if any(each[1] < own[1] for each in made):
        condition &= events.c.received_at >= datetime.fromtimestamp(own[1]).astimezone()
    if later:
        condition &= events.c.received_at < datetime.fromtimestamp(min(later)).astimezone()
    return condition


def _is_number_reused(connection: Connection, uid: str) -> bool:
    """Return whether a later project has the same number."""
    number, moment = _made_at(uid)
    others = map(_made_at, connection.scalars(select(projects.c.uid)))
    return any(each[0] == number and each[1] > moment for each in others)


def _made_at(uid: str) -> tuple[int | None, int]:
    moment = uid.partition(".")[2]
    return project_id_of(uid), int(moment) if moment.isascii() and moment.isdigit() else 0
