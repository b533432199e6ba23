"""Random rows in every table of a database of any version, as consistent as a program leaves them.

Rows refer to others that exist, packed points are those of the verdicts, and events are those that
Label Studio sends about the annotations.
"""

import random
import string
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Column, MetaData, Table

from backend.database.connection import Database
from backend.database.schema import Time
from backend.verdicts.judging import VERDICTS, Verdict
from backend.verdicts.packing import POINT, POSITIONS, pack

UIDS = ("3.1795347724", "4.1795348000")
ROWS = 12
Rows = dict[str, list[dict[str, Any]]]

CONFIG = (
    '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
    '<Label value="bus"/></KeyPointLabels></View>'
)
WORDS: dict[str, tuple[Any, ...]] = {
    "status": ("ready", "failed"),
    "kind": ("point", "choice"),
    "way": ("push", "reply", "found"),
    "outcome": ("judged", "skipped", "unused"),
    "source": ("event", "sync"),
    "label_config": (CONFIG,),
    "action": ("ANNOTATION_CREATED", "ANNOTATION_UPDATED"),
}
DETECTION = {
    "class_name": "bus",
    "probability": 0.5,
    "keypoints": [{"x": 1.5, "y": 2.0, "score": 0.5, "label": "bus"}],
    "width": 640,
    "height": 480,
    "box": {"left": 0, "top": 0, "width": 640, "height": 480},
}
JSONS: dict[str, Any] = {
    "detection": DETECTION,
    "objects": [],
    "members": [[1, "digest"]],
    "points": {},
    "absent": [],
    "visibility": {"nose": "occluded"},
    "costs": {"add": 2.5},
    "settings": {"threshold": 0.25},
    "sent": {"result": [{"id": "kp1"}], "model_version": "small-0"},
    "classes": ["bus", "van"],
}
# Columns that a program leaves empty in some rows of every kind.
SOMETIMES_EMPTY = (
    *("reason", "hostname", "access_token", "settings", "waiting_until", "busy_until", "check_at"),
    *("confirmed_at", "started_at", "finished_at", "label_studio_id", "undone_at", "problem"),
    *("requested_at", "tolerance", "waiting_for", "retry_at", "failing_since", "updated_by"),
    *("lead_time", "progress", "outcome", "coarse_caption", "fine_caption", "previous_accuracy"),
)
# Filled with the states, whose packed points repeat them.
WITH_STATES = ("verdicts", "arrivals")


class Filler:
    """Fills the tables of a database with random rows, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._keys: dict[str, list[dict[str, Any]]] = {}

    def fill(self, database: Database) -> None:
        """Put rows into every table."""
        tables = reflected(database)
        with database.writing() as connection:
            for name, table in tables.items():
                if name in (*WITH_STATES, "alembic_version"):
                    continue
                rows = [self._row(table, number) for number in range(1, self._count(table) + 1)]
                if name == "annotation_states":
                    self._complete_states(tables, rows)
                connection.execute(table.delete())  # a migration may have filled it
                connection.execute(table.insert(), rows)
                self._keys[name] = rows
                if name == "annotation_states":
                    for child in WITH_STATES:
                        connection.execute(tables[child].insert(), self._keys[child])

    def _count(self, table: Table) -> int:
        keys = [column.name for column in table.primary_key.columns]
        return len(UIDS) if keys in (["uid"], ["project_uid"]) else ROWS

    def _row(self, table: Table, number: int) -> dict[str, Any]:
        return {column.name: self._value(table, column, number) for column in table.columns}

    def _value(self, table: Table, column: Column[Any], number: int) -> Any:
        name = column.name
        for key in column.foreign_keys:
            parent = self._keys[key.column.table.name]
            return parent[(number - 1) % len(parent)][key.column.name]
        if name == "uid":
            return UIDS[number - 1]
        if name == "project_uid":
            return UIDS[number % len(UIDS)]
        if name == "id" or (column.primary_key and isinstance(column.type, sa.Integer)):
            return number
        is_told = name == "reason" and table.name == "annotation_states"
        may_be_empty = name in SOMETIMES_EMPTY and column.nullable and not is_told
        if may_be_empty and self._random.random() < 0.3:
            return None
        if name == "body":
            return self._event(number)
        if name in WORDS:
            return self._random.choice(WORDS[name])
        return self._of_type(name, column.type, number)

    def _of_type(self, name: str, kind: Any, number: int) -> Any:
        pick = self._random
        if isinstance(kind, sa.Boolean):
            return pick.random() < 0.5
        if isinstance(kind, sa.Integer):
            return 1000 + number if name.endswith("_id") else pick.randint(0, 2**31 - 1)
        if isinstance(kind, sa.Float):
            return pick.uniform(0, 100)
        if isinstance(kind, Time):
            return _moment(number)
        if isinstance(kind, sa.JSON):
            return JSONS.get(name, {"word": self._word(5), "number": number})
        if isinstance(kind, sa.LargeBinary):
            return pick.randbytes(20)
        length = min(kind.length or 20, 20) - 4
        return f"{number:03d}-{self._word(length)}"[: kind.length]

    def _word(self, length: int) -> str:
        return "".join(
            self._random.choice(string.ascii_letters + "äß’ \"\\'%") for _ in range(length)
        )

    def _event(self, number: int) -> dict[str, Any]:
        """The event that brought state `number`."""
        annotation = {
            "id": 1000 + number,
            "task": number,
            "result": [{"id": f"kp{number}", "value": {"x": 1.0, "y": 2.5}}],
            "completed_by": number,
            "updated_by": number,
        }
        return {"action": "ANNOTATION_CREATED", "annotation": annotation}

    def _complete_states(self, tables: dict[str, Table], rows: list[dict[str, Any]]) -> None:
        """Give states their points, and make the rows of their verdicts and arrivals."""
        columns = [column.name for column in tables["verdicts"].columns]
        packed_once = "updated_by" in tables["annotation_states"].columns
        made, arrived = [], []
        for row in rows:
            found = [self._verdict() for _ in range(self._random.randint(0, 4))]
            row["points"], row["labels"] = pack(found)
            if not packed_once and self._random.random() < 0.5:
                row["points"] = _without_positions(row["points"])
            for each in found:
                values = {**asdict(each), "state_id": row["id"], "id": len(made) + 1}
                made.append({name: values[name] for name in columns})
            if self._random.random() < 0.6:
                arrived.append({"state_id": row["id"], "event_id": row["id"]})
        self._keys |= {"verdicts": made, "arrivals": arrived}

    def _verdict(self) -> Verdict:
        pick = self._random
        places = {name: pick.uniform(0, 400) for name in POSITIONS}
        return Verdict(
            kind="point",
            verdict=pick.choice(VERDICTS),
            number=pick.randint(0, 9),
            region_id=self._word(10),
            suggested_label=pick.choice(("bus", "van")),
            final_label=pick.choice(("bus", "nose")),
            score=pick.random(),
            displacement=pick.uniform(0, 50),
            suggested_hit=pick.random() < 0.5,
            final_hit=None,
            **places,
        )


def _moment(number: int) -> datetime:
    return datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(hours=number, microseconds=number)


def _without_positions(points: bytes) -> bytes:
    """Points as the versions before 0006 packed them."""
    names = [name for name in POINT.names or () if name not in (*POSITIONS, "number")]
    found = np.frombuffer(points[1:], POINT)
    without = np.zeros(len(found), np.dtype([(name, POINT[name]) for name in names]))
    for name in names:
        without[name] = found[name]
    return without.tobytes()


def reflected(database: Database) -> dict[str, Table]:
    """The tables as they are in the database, parents first."""
    found = MetaData()
    with database.reading() as connection:
        found.reflect(connection)
    for table in found.tables.values():
        for column in table.columns:
            if isinstance(column.type, sa.DateTime):
                column.type = Time()
            elif isinstance(column.type, sa.JSON):
                column.type = sa.JSON(none_as_null=True)
    return {table.name: table for table in found.sorted_tables}


def contents(database: Database) -> Rows:
    """Every row of every table."""
    tables = reflected(database)
    with database.reading() as connection:
        return {
            name: [
                dict(row)
                for row in connection.execute(
                    sa.select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for name, table in tables.items()
            if name != "alembic_version"
        }
