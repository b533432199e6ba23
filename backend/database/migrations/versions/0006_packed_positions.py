"""Pack anew, with the positions of their points, the states that were packed without them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection, Row

revision = "0006"
down_revision = "0005"

PORTION = 500
MARK = b"\xff"  # begins a value with positions
VERDICTS = ("accepted", "moved", "relabelled", "moved_and_relabelled", "deleted", "added")
NUMBERS = ("score", "displacement", "length", "area")
PLACES = ("object", "suggested_hit", "final_hit", "number")
POSITIONS = ("suggested_x", "suggested_y", "final_x", "final_y")
POINT = np.dtype(
    [
        ("verdict", "<i1"),
        ("suggested_label", "<i2"),
        ("final_label", "<i2"),
        *((name, "<f8") for name in NUMBERS),
        ("object", "<i4"),
        ("suggested_hit", "<i1"),
        ("final_hit", "<i1"),
        ("number", "<i4"),
        *((name, "<f8") for name in POSITIONS),
    ]
)

states = sa.table(
    "annotation_states",
    sa.column("id"),
    sa.column("points", sa.LargeBinary),
    sa.column("labels", sa.JSON),
)
verdicts = sa.table(
    "verdicts",
    *(sa.column(name) for name in ("id", "state_id", "kind", "verdict")),
    *(sa.column(name) for name in ("suggested_label", "final_label")),
    *(sa.column(name) for name in (*NUMBERS, *PLACES, *POSITIONS)),
)


def upgrade() -> None:
    """Pack the rows of the table of verdicts, some states at a time."""
    connection = op.get_bind()
    for ids in _without_positions(connection):
        asked = sa.select(verdicts).where(verdicts.c.state_id.in_(ids), verdicts.c.kind == "point")
        of_state: dict[int, list[Row[Any]]] = {}
        for row in connection.execute(asked.order_by(verdicts.c.id)):
            of_state.setdefault(row.state_id, []).append(row)
        for state_id in ids:
            points, labels = _pack(of_state.get(state_id, []))
            new = states.update().where(states.c.id == state_id)
            connection.execute(new.values(points=points, labels=labels))


def downgrade() -> None:
    """Leave them: the version before reads both."""


def _without_positions(connection: Connection) -> Iterator[Sequence[int]]:
    last = 0
    asked = sa.select(states.c.id, states.c.points).order_by(states.c.id).limit(PORTION)
    while rows := connection.execute(asked.where(states.c.id > last)).all():
        ids = [row.id for row in rows if row.points and not row.points.startswith(MARK)]
        if ids:
            yield ids
        last = rows[-1].id


def _pack(rows: Sequence[Row[Any]]) -> tuple[bytes, list[str]]:
    labels: dict[str | None, int] = {None: -1}
    for row in rows:
        for label in (row.suggested_label, row.final_label):
            labels.setdefault(label, len(labels) - 1)
    points = np.zeros(len(rows), POINT)
    points["verdict"] = [VERDICTS.index(row.verdict) for row in rows]
    for name in ("suggested_label", "final_label"):
        points[name] = [labels[getattr(row, name)] for row in rows]
    for names, missing in (((*NUMBERS, *POSITIONS), np.nan), (PLACES, -1)):
        for name in names:
            values = [getattr(row, name) for row in rows]
            points[name] = [missing if value is None else value for value in values]
    return MARK * bool(rows) + points.tobytes(), [name for name in labels if name is not None]
