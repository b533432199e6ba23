"""SQL about events and the verdict log. Rows are added, never changed or deleted.

Which state of an annotation counts is a question asked of the log: the newest one that was not
retracted. So neither the order in which events come in nor a repeated one makes a difference.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Subquery,
    exists,
    or_,
    select,
    tuple_,
)

from backend.database.connection import CHUNK, Database, now
from backend.suggestions.queries import count_by
from backend.suggestions.tables import deliveries, predictions
from backend.verdicts.judging import Verdict
from backend.verdicts.packing import pack
from backend.verdicts.records import Candidate, Entry, Event, Filters, State
from backend.verdicts.tables import (
    arrivals,
    events,
    handled_events,
    retractions,
    states,
    sync_runs,
    unused,
    verdicts,
)

ACTIONS = (
    "ANNOTATION_CREATED",
    "ANNOTATION_UPDATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATION_DELETED",
    "ANNOTATIONS_DELETED",
    "TASKS_DELETED",
)
_OWN = ("verdicts", "unused")  # of a State, but kept in tables of their own
_STATE_COLUMNS = [field.name for field in fields(State) if field.name not in _OWN]
_VERDICT_COLUMNS = [field.name for field in fields(Verdict)]


class EventStorage:
    """What Label Studio's webhook sent, as it came."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_event(self, action: str, project_id: int | None, body: dict[str, Any]) -> int:
        """Keep what Label Studio's webhook sent, as it came; returns its id."""
        with self._database.writing() as connection:
            result = connection.execute(
                events.insert().values(
                    received_at=now(), action=action, project_id=project_id, body=body
                )
            )
        assert result.inserted_primary_key is not None
        event_id: int = result.inserted_primary_key[0]
        return event_id

    def events(self, after: int = 0, limit: int = CHUNK) -> list[Event]:
        """Events in the order in which they came, from behind the id `after`."""
        asked = select(events).where(events.c.id > after).order_by(events.c.id).limit(limit)
        with self._database.reading() as connection:
            return [Event(**row._mapping) for row in connection.execute(asked)]

    def events_by_action(self) -> dict[str, int]:
        """How many events came of each action."""
        return count_by(self._database, events.c.action)


class VerdictStorage:
    """The verdict log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unhandled_events(self, limit: int = CHUNK) -> list[Event]:
        """Events about annotations that the log does not have yet, in the order they came in."""
        asked = (
            select(events)
            .outerjoin(handled_events, handled_events.c.event_id == events.c.id)
            .where(events.c.action.in_(ACTIONS), handled_events.c.event_id.is_(None))
            .order_by(events.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [Event(**row._mapping) for row in connection.execute(asked)]

    def record(self, entries: Sequence[Entry], moment: datetime) -> tuple[int, int]:
        """Add to the log what it does not have; all of it or nothing.

        Returns:
            How many states and retractions were new.
        """
        added = retracted = 0
        with self._database.writing() as connection:
            for entry in entries:
                if entry.event_id is not None and not self._handle(connection, entry, moment):
                    continue  # another process was faster
                for state in entry.states:
                    added += self._add_state(connection, state, entry.event_id, moment)
                rows = [asdict(retraction) for retraction in entry.retractions]
                if rows:
                    connection.execute(retractions.insert(), rows)
                retracted += len(rows)
                for each in entry.unused:
                    self._add_unused(connection, event_id=entry.event_id, **asdict(each))
        return added, retracted

    def _handle(self, connection: Connection, entry: Entry, moment: datetime) -> bool:
        statement = (
            self._database.insert(handled_events)
            .values(event_id=entry.event_id, handled_at=moment)
            .on_conflict_do_nothing()
        )
        return bool(connection.execute(statement).rowcount)

    def _add_state(
        self, connection: Connection, state: State, event_id: int | None, moment: datetime
    ) -> bool:
        values = {name: getattr(state, name) for name in _STATE_COLUMNS}
        points, labels = pack(state.verdicts)
        values |= {"recorded_at": moment, "objects": list(state.objects)}
        values |= {"points": points, "labels": labels}
        insert = self._database.insert(states).values(values).on_conflict_do_nothing()
        new = connection.scalar(insert.returning(states.c.id))
        key = (states.c.project_uid, states.c.annotation_id, states.c.made_at, states.c.updated_at)
        state_id = new or connection.scalar(
            select(states.c.id).where(
                *(column == values[column.name] for column in (*key, states.c.digest))
            )
        )
        assert state_id is not None
        if event_id is not None:
            arrival = self._database.insert(arrivals).values(state_id=state_id, event_id=event_id)
            connection.execute(arrival.on_conflict_do_nothing())
        if new is None:
            return False
        if state.verdicts:
            rows = [
                {"state_id": state_id} | {name: getattr(each, name) for name in _VERDICT_COLUMNS}
                for each in state.verdicts
            ]
            connection.execute(verdicts.insert(), rows)
        for place, reason in enumerate(state.unused):
            self._add_unused(
                connection,
                state_id=state_id,
                project_uid=state.project_uid,
                task_id=state.task_id,
                reason=reason,
                digest=hashlib.sha256(f"{state_id} {place}".encode()).hexdigest(),
            )
        return True

    def _add_unused(self, connection: Connection, **values: Any) -> None:
        connection.execute(self._database.insert(unused).values(values).on_conflict_do_nothing())

    def note_sync(self, **values: Any) -> None:
        """Keep what a pull of one project brought."""
        with self._database.writing() as connection:
            connection.execute(sync_runs.insert().values(values))

    def candidates(self, project_uid: str, task_id: int) -> list[Candidate]:
        """Predictions of a task that are ready, one for each time that they were delivered."""
        asked = (
            select(
                predictions.c.id,
                predictions.c.model_version,
                predictions.c.detection,
                deliveries.c.sent,
                deliveries.c.made_at,
                deliveries.c.label_studio_id,
            )
            .outerjoin(deliveries, deliveries.c.prediction_id == predictions.c.id)
            .where(
                predictions.c.project_uid == project_uid,
                predictions.c.task_id == task_id,
                predictions.c.status == "ready",
            )
            .order_by(predictions.c.id, deliveries.c.number)
        )
        with self._database.reading() as connection:
            return [Candidate(*row) for row in connection.execute(asked)]

    def known_annotations(self, project_uid: str) -> dict[int, datetime]:
        """Annotations of a project that count, and when each was made."""
        current = current_states(Filters(project=project_uid), ("judged", "skipped", "unused"))
        with self._database.reading() as connection:
            rows = connection.execute(select(current.c.annotation_id, current.c.made_at))
            return {row.annotation_id: row.made_at for row in rows}

    def retracted(self, project_uid: str) -> set[tuple[int, datetime]]:
        """Annotations (id, made at) of a project that the log knows as deleted."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(states.c.annotation_id, states.c.made_at)
                .where(states.c.project_uid == project_uid, ~stands(states))
                .distinct()
            )
            return {(row.annotation_id, row.made_at) for row in rows}

    def last_sync(self, project_uid: str) -> Row[Any] | None:
        """The latest pull of a project."""
        asked = select(sync_runs).where(sync_runs.c.project_uid == project_uid)
        with self._database.reading() as connection:
            return connection.execute(asked.order_by(sync_runs.c.id.desc()).limit(1)).one_or_none()


def current_states(filters: Filters, outcomes: Sequence[str]) -> Subquery:
    """The newest state of every annotation that was not retracted, as far as the filters go."""
    newer = states.alias()
    superseded = exists().where(
        newer.c.project_uid == states.c.project_uid,
        newer.c.annotation_id == states.c.annotation_id,
        newer.c.made_at == states.c.made_at,
        tuple_(newer.c.updated_at, newer.c.digest) > tuple_(states.c.updated_at, states.c.digest),
        stands(newer),
    )
    conditions = [states.c.outcome.in_(outcomes), ~superseded, stands(states)]
    if filters.project is not None:
        conditions.append(project_is(states.c.project_uid, filters.project))
    if filters.annotator is not None:
        conditions.append(states.c.annotator == filters.annotator)
    if filters.model_version is not None:
        conditions.append(states.c.model_version == filters.model_version)
    if filters.since is not None:
        conditions.append(states.c.updated_at >= filters.since)
    if filters.until is not None:
        conditions.append(states.c.updated_at < filters.until)
    return select(states).where(*conditions).subquery()


def stands(state: FromClause) -> ColumnElement[bool]:
    """Whether the annotation of a state is there: not deleted, or seen again after that.

    A deletion concerns what was made before it: its id may have been given out again since.
    """
    again = retractions.alias()
    seen_again = exists().where(
        again.c.project_uid == state.c.project_uid,
        again.c.annotation_id == state.c.annotation_id,
        again.c.deleted.is_(False),
        again.c.at > retractions.c.at,
    )
    deleted = [
        exists().where(
            retractions.c.project_uid == state.c.project_uid,
            same,
            retractions.c.deleted,
            retractions.c.at >= state.c.made_at,
            ~seen_again,
        )
        for same in (
            retractions.c.annotation_id == state.c.annotation_id,
            retractions.c.task_id == state.c.task_id,
        )
    ]
    return ~or_(*deleted)


def project_is(column: ColumnElement[Any], project: str) -> ColumnElement[bool]:
    """Whether a uid, `id.created_ts`, is the project's, or of a project with that id."""
    return or_(column == project, column.startswith(f"{project}.", autoescape=True))
