"""SQL of webhook events and of the verdict log. Rows are added, never changed or deleted.

`queries` decides which states count.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, func, select

from backend.database.connection import CHUNK, Database, now
from backend.labelstudio.shapes import Json
from backend.suggestions.queries import count_by
from backend.verdicts.digests import DIGEST_VERSION
from backend.verdicts.drawn import Object
from backend.verdicts.judging import Verdict
from backend.verdicts.packing import pack
from backend.verdicts.program_version import program_version
from backend.verdicts.records import (
    AnnotationKey,
    Entry,
    Event,
    State,
)
from backend.verdicts.tables import (
    arrivals,
    changed_annotations,
    drawings,
    events,
    handled_events,
    origins,
    purges,
    retractions,
    set_aside_events,
    states,
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
# Fields of a State that have tables or rows of their own.
_OWN = ("verdicts", "unused", "begun", "drawing", "further")
_KEY = ("project_uid", "annotation_id", "made_at", "updated_at", "digest")  # unique
_STATE_COLUMNS = [field.name for field in fields(State) if field.name not in _OWN]
_VERDICT_COLUMNS = [field.name for field in fields(Verdict)]


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event, as it came.

    Attributes:
        body: raw JSON, without the project's token.
    """

    action: str
    project_id: int | None
    body: Json


class EventStorage:
    """Webhook events, as Label Studio sent them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_event(self, action: str, project_id: int | None, body: Json) -> int:
        """Store an event, and return its id; see `save_events`."""
        [event_id] = self.save_events([NewEvent(action, project_id, body)])
        return event_id

    def save_events(self, new: Sequence[NewEvent]) -> list[int]:
        """Store events as they came, all or none, and return their ids."""
        moment = now()
        rows = [
            {
                "received_at": moment,
                "action": each.action,
                "project_id": each.project_id,
                "body": each.body,
            }
            for each in new
        ]
        with self._database.writing() as connection:
            inserted = connection.scalars(events.insert().returning(events.c.id), rows)
            return list(inserted)

    def events(self, after: int = 0, limit: int = CHUNK) -> list[Event]:
        """Return the events with ids greater than `after`, oldest first."""
        return self._fetch(select(events).where(events.c.id > after), limit)

    def unhandled(self, limit: int = CHUNK) -> list[Event]:
        """Return events about annotations that are not in the verdict log yet, oldest first.

        Those that this version of the program has set aside are left out.
        """
        handled = handled_events.c.event_id == events.c.id
        tried = and_(
            set_aside_events.c.event_id == events.c.id,
            set_aside_events.c.program_version == program_version(),
        )
        query = (
            select(events)
            .outerjoin(handled_events, handled)
            .outerjoin(set_aside_events, tried)
            .where(
                events.c.action.in_(ACTIONS),
                handled_events.c.event_id.is_(None),
                set_aside_events.c.event_id.is_(None),
            )
        )
        return self._fetch(query, limit)

    def _fetch(self, query: Select[Any], limit: int) -> list[Event]:
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(events.c.id).limit(limit))
            return [Event(**row._mapping) for row in rows]

    def events_by_action(self) -> dict[str, int]:
        """Count the events of each action."""
        return count_by(self._database, events.c.action)


class VerdictStorage:
    """The verdict log: states of annotations, with their verdicts, and deletions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, entries: Sequence[Entry], moment: datetime) -> tuple[int, int]:
        """Add what the log lacks, in one transaction.

        Returns:
            The numbers of new states and of retractions.
        """
        added = retracted = 0
        with self._database.writing() as connection:
            cutoff = connection.scalar(select(func.max(purges.c.cutoff)))
            for entry in entries:
                if entry.event_id is not None and not self._handle(connection, entry, moment):
                    continue  # another process has handled the event
                for state in entry.states:
                    if cutoff is not None and state.updated_at < cutoff:
                        continue  # somebody had what is so old deleted
                    added += self._add_states(connection, state, entry.event_id, moment)
                rows = [asdict(retraction) for retraction in entry.retractions]
                if rows:
                    connection.execute(retractions.insert(), rows)
                    names = ("project_uid", "annotation_id", "task_id")
                    changed = [{name: row[name] for name in names} for row in rows]
                    connection.execute(changed_annotations.insert(), changed)
                retracted += len(rows)
                for each in entry.unused:
                    self._add_unused(connection, event_id=entry.event_id, **asdict(each))
        return added, retracted

    def _handle(self, connection: Connection, entry: Entry, moment: datetime) -> bool:
        statement = (
            self._database.insert(handled_events)
            .values(event_id=entry.event_id, handled_at=moment)
            .on_conflict_do_nothing()
            .returning(handled_events.c.event_id)
        )
        # Not `rowcount`, which is -1 after any INSERT on PostgreSQL.
        if connection.execute(statement).first() is None:
            return False
        tried_before = set_aside_events.c.event_id == entry.event_id
        connection.execute(delete(set_aside_events).where(tried_before))
        return True

    def _add_states(
        self, connection: Connection, state: State, event_id: int | None, moment: datetime
    ) -> bool:
        """Add a state with those on the other images of its task; see `_add_state`.

        Those are added where the first is new: a log that has it compared it with fewer images.
        """
        is_new = self._add_state(connection, state, event_id, moment)
        for each in state.further:
            if is_new or _is_known(connection, each):
                self._add_state(connection, each, event_id, moment)
        return is_new

    def _add_state(
        self, connection: Connection, state: State, event_id: int | None, moment: datetime
    ) -> bool:
        """Add a state unless the log has it, and note which event brought it.

        Returns:
            Whether the state is new.
        """
        new_id, state_id = None, _with_earlier_digest(connection, state)
        if state_id is None:
            new_id = self._insert_state(connection, state, moment)
            state_id = self._state_id(connection, state) if new_id is None else new_id
        if state.begun:
            values = state.annotation._asdict() | {"prediction_id": state.prediction_id}
            connection.execute(
                self._database.insert(origins).values(values).on_conflict_do_nothing()
            )
        if event_id is not None:
            arrival = self._database.insert(arrivals).values(state_id=state_id, event_id=event_id)
            connection.execute(arrival.on_conflict_do_nothing())
        if new_id is not None:
            self._add_verdicts(connection, new_id, state)
        # A state that an earlier version recorded has no drawing yet.
        is_drawn = self._add_drawing(connection, state_id, state)
        if new_id is not None or is_drawn:
            connection.execute(
                changed_annotations.insert().values(
                    project_uid=state.project_uid, annotation_id=state.annotation_id
                )
            )
        return new_id is not None

    def _add_drawing(self, connection: Connection, state_id: int, state: State) -> bool:
        """Add the drawing of a state, and return whether it is new."""
        if state.drawing is None:
            return False
        values = {"state_id": state_id, **state.drawing.as_json()}
        statement = self._database.insert(drawings).values(values).on_conflict_do_nothing()
        return connection.execute(statement.returning(drawings.c.state_id)).first() is not None

    def _insert_state(self, connection: Connection, state: State, moment: datetime) -> int | None:
        """Return the id of the new row; None if the log has the state."""
        points, labels = pack(state.verdicts)
        values = {name: getattr(state, name) for name in _STATE_COLUMNS} | {
            "digest_version": DIGEST_VERSION,
            "recorded_at": moment,
            "objects": [_as_json(each) for each in state.objects],
            "points": points,
            "labels": labels,
        }
        insert = self._database.insert(states).values(values).on_conflict_do_nothing()
        new_id: int | None = connection.scalar(insert.returning(states.c.id))
        return new_id

    def _state_id(self, connection: Connection, state: State) -> int:
        state_id: int = connection.execute(_of_state(state)).scalar_one()
        return state_id

    def _add_verdicts(self, connection: Connection, state_id: int, state: State) -> None:
        rows = [
            {"state_id": state_id} | {name: getattr(each, name) for name in _VERDICT_COLUMNS}
            for each in state.verdicts
        ]
        if rows:
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

    def _add_unused(self, connection: Connection, **values: Any) -> None:
        connection.execute(self._database.insert(unused).values(values).on_conflict_do_nothing())

    def origin(self, annotation: AnnotationKey) -> int | None:
        """Return the id of the prediction that an annotation began as; None if none is known."""
        query = select(origins.c.prediction_id).where(
            *(origins.c[name] == value for name, value in annotation._asdict().items())
        )
        with self._database.reading() as connection:
            prediction_id: int | None = connection.scalar(query)
        return prediction_id


def _of_state(state: State) -> Select[int]:
    """Select the id of the row of a state."""
    return select(states.c.id).where(*(states.c[name] == getattr(state, name) for name in _KEY))


def _is_known(connection: Connection, state: State) -> bool:
    return connection.scalar(_of_state(state)) is not None


def _with_earlier_digest(connection: Connection, state: State) -> int | None:
    """Return the id of the row with a digest of an earlier version that holds a state.

    Such digests cannot be compared, so what they were made of is: everything else that is stored.
    """
    same = [states.c[name] == getattr(state, name) for name in _KEY if name != "digest"]
    same += [
        states.c[name].is_not_distinct_from(getattr(state, name))
        for name in ("annotator", "lead_time")
    ]
    if state.image_number:
        return None  # earlier versions knew the first image alone
    query = select(states.c.id, states.c.outcome).where(
        states.c.digest_version < DIGEST_VERSION, *same
    )
    for state_id, outcome in connection.execute(query.order_by(states.c.id)).all():
        if {outcome, state.outcome} != {"judged"}:
            return int(state_id)
        of_row = (verdicts.c.state_id == state_id, verdicts.c.kind == "point")
        found = connection.execute(
            select(verdicts.c.final_x, verdicts.c.final_y, verdicts.c.final_label).where(*of_row)
        )
        points = ((each.final_x, each.final_y, each.final_label) for each in state.verdicts)
        if _placed(points) == _placed(map(tuple, found)):
            return int(state_id)
    return None


def _placed(points: Iterable[tuple[Any, ...]]) -> list[tuple[float, float, str]]:
    """Return final points in one order, to a thousandth of a pixel; deleted ones are left out."""
    return sorted((round(x, 3), round(y, 3), label) for x, y, label in points if x is not None)


def _as_json(drawn: Object) -> dict[str, str | float]:
    return {"label": drawn.label, **asdict(drawn.box)}
