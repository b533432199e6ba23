"""Who saved a state, which annotations began as a suggestion, and digests without the parent.

The first version compared states by a digest that changed when Label Studio forgot the parent
prediction, so that a sync could add a state a second time. Such repetitions are removed here.
States that an event brought get a digest of today from its JSON. All others keep theirs, and are
compared by what is stored of them.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection, Row
from sqlalchemy.dialects import postgresql, sqlite

from backend.database.schema import Time

revision = "0005"
down_revision = "0004"

PORTION = 500
KEPT = ("accepted", "moved", "relabelled", "moved_and_relabelled")

# The columns that are read and written here, as they are now.
states = sa.table(
    "annotation_states",
    *(sa.column(name) for name in ("id", "project_uid", "task_id", "annotation_id")),
    *(sa.column(name, Time) for name in ("made_at", "updated_at")),
    *(sa.column(name) for name in ("digest", "digest_version", "outcome", "annotator")),
    *(sa.column(name) for name in ("updated_by", "lead_time", "prediction_id")),
    sa.column("shown", sa.Boolean),
)
verdicts = sa.table(
    "verdicts",
    *(sa.column(name) for name in ("id", "state_id", "kind", "verdict")),
    *(sa.column(name) for name in ("final_x", "final_y", "final_label")),
)
arrivals = sa.table("arrivals", sa.column("state_id"), sa.column("event_id"))
unused = sa.table("unused", sa.column("state_id"))
events = sa.table("events", sa.column("id"), sa.column("body", sa.JSON))
deliveries = sa.table("deliveries", sa.column("prediction_id"), sa.column("sent", sa.JSON))
origins = sa.table(
    "annotation_origins",
    *(sa.column(name) for name in ("project_uid", "annotation_id")),
    sa.column("made_at", Time),
    sa.column("prediction_id"),
)


def upgrade() -> None:
    """Add two columns and a table, and fill them from the events and the verdicts."""
    op.add_column(
        "annotation_states",
        sa.Column("digest_version", sa.Integer, nullable=False, server_default="1"),
    )
    op.add_column("annotation_states", sa.Column("updated_by", sa.BigInteger))
    op.create_table(
        "annotation_origins",
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("annotation_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("made_at", Time, nullable=False),
        sa.Column("prediction_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint(
            "project_uid", "annotation_id", "made_at", name="pk_annotation_origins"
        ),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["predictions.id"], name="fk_annotation_origins_prediction_id"
        ),
    )
    connection = op.get_bind()
    _remove_repetitions(connection)
    for portion in _portions(connection):
        _read_again(connection, portion)


def downgrade() -> None:
    """Drop them. The digests stay those of this version."""
    op.drop_table("annotation_origins")
    op.drop_column("annotation_states", "updated_by")
    op.drop_column("annotation_states", "digest_version")


# Repetitions


def _remove_repetitions(connection: Connection) -> None:
    """Remove states that repeat another of the same annotation and time, with their verdicts."""
    key = [states.c[name] for name in ("project_uid", "annotation_id", "made_at", "updated_at")]
    several = sa.select(*key).group_by(*key).having(sa.func.count() > 1)
    for group in connection.execute(several).all():
        same = [column == value for column, value in zip(key, group, strict=True)]
        first: dict[object, int] = {}
        for row in connection.execute(sa.select(states).where(*same).order_by(states.c.id)).all():
            content = (row.annotator, row.lead_time, row.outcome, *_final(connection, row.id))
            if content in first:
                _remove(connection, row.id, first[content])
            else:
                first[content] = row.id


def _final(connection: Connection, state_id: int) -> list[Row[Any]]:
    """Return the final points of a state, and its choices, in one order."""
    columns = (verdicts.c.final_x, verdicts.c.final_y, verdicts.c.final_label)
    found = sa.select(*columns).where(
        verdicts.c.state_id == state_id, verdicts.c.final_label.is_not(None)
    )
    return list(connection.execute(found.order_by(*columns)))


def _remove(connection: Connection, state_id: int, kept: int) -> None:
    """Remove a state; the events that brought it brought the one that is kept."""
    brought = sa.select(arrivals.c.event_id)
    of_kept = set(connection.scalars(brought.where(arrivals.c.state_id == kept)))
    for event_id in connection.scalars(brought.where(arrivals.c.state_id == state_id)).all():
        if event_id not in of_kept:
            connection.execute(arrivals.insert().values(state_id=kept, event_id=event_id))
    for table in (arrivals, unused, verdicts):
        connection.execute(table.delete().where(table.c.state_id == state_id))
    connection.execute(states.delete().where(states.c.id == state_id))


# Digests, who saved the states, and origins


def _portions(connection: Connection) -> Iterator[Sequence[Row[Any]]]:
    last = 0
    asked = sa.select(states).order_by(states.c.id).limit(PORTION)
    while rows := connection.execute(asked.where(states.c.id > last)).all():
        yield rows
        last = rows[-1].id


def _read_again(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    raw = _annotations(connection, rows)
    for row in rows:
        if row.id in raw:
            new: dict[str, object] = {"updated_by": _id(raw[row.id].get("updated_by"))}
            digest = _digest(row, raw[row.id])
            if not _exists(connection, row, digest):
                new |= {"digest": digest, "digest_version": 2}
            connection.execute(states.update().where(states.c.id == row.id).values(new))
    _add_origins(connection, _begun(connection, rows, raw))


def _annotations(connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, Mapping[str, Any]]:
    """Return the JSON of the states that an event brought, by the id of the state."""
    first = (
        sa.select(arrivals.c.state_id, sa.func.min(arrivals.c.event_id).label("event_id"))
        .where(arrivals.c.state_id.in_([row.id for row in rows]))
        .group_by(arrivals.c.state_id)
    )
    event_ids = {row.state_id: row.event_id for row in connection.execute(first)}
    asked = sa.select(events).where(events.c.id.in_(set(event_ids.values())))
    bodies = {row.id: row.body for row in connection.execute(asked)}
    found = {}
    for row in rows:
        brought = bodies.get(event_ids.get(row.id), {}).get("annotation")
        for each in brought if isinstance(brought, list) else [brought]:
            if isinstance(each, Mapping) and each.get("id") == row.annotation_id:
                found[row.id] = each
                break
    return found


def _digest(row: Row[Any], raw: Mapping[str, Any]) -> str:
    """Return the digest of version 2."""
    result = raw.get("result")
    content = {
        "result": _normalised(result) if isinstance(result, list) else None,
        "was_cancelled": row.outcome == "skipped",
        "completed_by": row.annotator,
        "lead_time": row.lead_time,
        "task": row.task_id,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _normalised(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _normalised(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_normalised(each) for each in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return json.dumps(value)
        return int(value) if value.is_integer() else value
    return value


def _exists(connection: Connection, row: Row[Any], digest: str) -> bool:
    """Return whether another state of the same annotation and time has the digest."""
    asked = sa.select(states.c.id).where(
        *(states.c[name] == getattr(row, name) for name in ("project_uid", "annotation_id")),
        *(states.c[name] == getattr(row, name) for name in ("made_at", "updated_at")),
        states.c.digest == digest,
    )
    return connection.execute(asked).first() is not None


def _begun(
    connection: Connection, rows: Sequence[Row[Any]], raw: Mapping[int, Mapping[str, Any]]
) -> list[Row[Any]]:
    """Return the states whose annotation began as the suggestions.

    Where no event tells, those that kept a suggestion did, as far as the verdicts say.
    """
    ids = [row.id for row in rows]
    kept = set(
        connection.scalars(
            sa.select(verdicts.c.state_id)
            .where(
                verdicts.c.state_id.in_(ids),
                verdicts.c.kind == "point",
                verdicts.c.verdict.in_(KEPT),
            )
            .distinct()
        )
    )
    suggested = _suggested_regions(connection, {row.prediction_id for row in rows} - {None})

    def began(row: Row[Any]) -> bool:
        if row.id not in raw:
            return row.id in kept
        parent, result = raw[row.id].get("parent_prediction"), raw[row.id].get("result")
        own = _region_ids(result if isinstance(result, list) else [])
        return _id(parent) is not None or not own.isdisjoint(suggested.get(row.prediction_id, ()))

    return [row for row in rows if row.shown and row.prediction_id is not None and began(row)]


def _suggested_regions(connection: Connection, prediction_ids: set[int]) -> dict[int, set[str]]:
    asked = sa.select(deliveries).where(deliveries.c.prediction_id.in_(prediction_ids))
    found: dict[int, set[str]] = {}
    for row in connection.execute(asked):
        ids = _region_ids(row.sent.get("result") or [])
        found.setdefault(row.prediction_id, set()).update(ids)
    return found


def _add_origins(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    insert: Callable[..., Any] = (
        sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    )
    names = ("project_uid", "annotation_id", "made_at", "prediction_id")
    if rows:
        connection.execute(
            insert(origins).on_conflict_do_nothing(),
            [{name: getattr(row, name) for name in names} for row in rows],
        )


def _region_ids(regions: Sequence[object]) -> set[str]:
    return {
        each["id"]
        for each in regions
        if isinstance(each, Mapping) and isinstance(each.get("id"), str)
    }


def _id(value: object) -> int | None:
    found = value.get("id") if isinstance(value, Mapping) else value
    if not isinstance(found, int) or isinstance(found, bool):
        return None
    return found if abs(found) < 2**63 else None
