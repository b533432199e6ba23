"""SQL that copies a whole database, of either kind, into an empty one, of either kind."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Connection, Integer, delete, func, insert, select, text, update

from backend.database.connection import CHUNK, Database, now
from backend.suggestions.tables import deliveries, predictions
from backend.training.tables import models
from backend.upkeep.queries import every_table
from backend.upkeep.tables import deployments

# Jobs, and rows that were added after the backup, have used numbers that Redis may still know.
ROUNDS = 1000
IDS = 1_000_000

# A database that was just made has this row.
OF_ITSELF = "deployments"


class DatabaseNotEmpty(RuntimeError):
    """The database holds data that restoring would delete; the message says what to do."""


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """Open a transaction that sees one moment of the whole database, while others write."""
    with database.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


def copy_tables(source: Connection, target: Connection) -> dict[str, int]:
    """Copy every row, in a transaction of each database.

    Args:
        target: of a database with the same, empty tables.

    Returns:
        How many rows each table has.
    """
    counts = {}
    for table in every_table():
        order = list(table.primary_key.columns)
        rows = source.execution_options(yield_per=CHUNK).execute(select(table).order_by(*order))
        counts[table.name] = 0
        for chunk in rows.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in chunk])
            counts[table.name] += len(chunk)
    return counts


def empty(connection: Connection) -> None:
    """Delete every row of every table."""
    for table in reversed(every_table()):
        connection.execute(delete(table))


def weights_files(connection: Connection) -> list[str]:
    """Return the names of the weights files of all trained models."""
    return list(connection.scalars(select(models.c.file).order_by(models.c.file)))


def restore_tables(source: Connection, database: Database, *, overwrite: bool) -> dict[str, int]:
    """Replace the content of a database, in one transaction, so that it can go on from there.

    Args:
        source: of a database with the same tables.
        overwrite: delete what the database holds.

    Raises:
        DatabaseNotEmpty: it holds something, and must not be overwritten.
    """
    with database.writing() as target:
        held = _held(target)
        if held and not overwrite:
            raise DatabaseNotEmpty(
                f"expected an empty database, but it holds {_in_words(held)}: set DATA_DIR or "
                "DATABASE_URL to a new one, or add --overwrite to delete all of it"
            )
        empty(target)
        counts = copy_tables(source, target)
        _go_on(target)
        _raise_numbers(target)
    return counts


def _held(connection: Connection) -> dict[str, int]:
    """Return how many rows each table has, of those that have any."""
    found = {}
    for table in every_table():
        count = connection.scalar(select(func.count()).select_from(table)) or 0
        if count and table.name != OF_ITSELF:
            found[table.name] = count
    return found


def _in_words(held: Mapping[str, int]) -> str:
    most = sorted(held.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{count} {name}" for name, count in most)


def _go_on(connection: Connection) -> None:
    """Let work that was unfinished at the backup be done, and nothing be delivered twice."""
    moment = now()
    connection.execute(delete(deployments))
    connection.execute(insert(deployments).values(id=1, name=secrets.token_hex(8), made_at=moment))
    # The leases are those of processes that are gone.
    connection.execute(update(predictions).values(busy_until=None, waiting_until=None))
    # Label Studio may have got these after the backup: a worker looks there before it delivers.
    unconfirmed = select(deliveries.c.prediction_id).where(deliveries.c.confirmed_at.is_(None))
    undelivered = (predictions.c.deliveries == 0) | predictions.c.id.in_(unconfirmed)
    connection.execute(
        update(predictions)
        .where(predictions.c.status == "ready", predictions.c.to_deliver, undelivered)
        .values(check_at=moment, checks=0)
    )
    for table in every_table():
        if "round" in table.c:
            connection.execute(update(table).values(round=table.c.round + ROUNDS))


def _raise_numbers(connection: Connection) -> None:
    """Let new rows get numbers that no row got between the backup and its restoring."""
    for table in every_table():
        key = _counted(table.primary_key.columns.values())
        if key is None:
            continue
        next_id = (connection.scalar(select(func.max(key))) or 0) + IDS
        names = {"name": table.name, "key": key.name, "next": next_id}
        if connection.dialect.name == "postgresql":
            sequence = "SELECT setval(pg_get_serial_sequence(:name, :key), :next)"
            connection.execute(text(sequence), names)
        else:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), names)
            connection.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :next)"), names)


def _counted(key: Sequence[Column[Any]]) -> Column[Any] | None:
    """Return the column that a database numbers by itself; None if there is none."""
    if len(key) != 1 or not isinstance(key[0].type, Integer) or key[0].foreign_keys:
        return None
    return None if key[0].autoincrement is False else key[0]
