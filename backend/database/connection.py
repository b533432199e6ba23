"""SQLite or PostgreSQL: connections, transactions and migrations."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL

from backend.retries import SQLITE_JOURNAL

WRITES = "writes"  # execution option of a transaction that writes
# One connection for every thread of a web process.
CONNECTIONS = 20  # kept open; as many again at the busiest moments
# Rows per statement: SQLite takes 32 766 parameters, PostgreSQL 65 535.
CHUNK = 500
LOCK_WAIT = 10.0  # s; how long a transaction waits while another one writes to SQLite
# A PostgreSQL that cannot be reached any more is given up after half a minute; without these, a
# statement that is on its way waits for a quarter of an hour. Parameters of libpq: s, but ms for
# tcp_user_timeout. The address may set others.
POSTGRES_TIMEOUTS = {
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 726_173_015  # arbitrary, but the same for every process of this project


class StorageError(Exception):
    """The database cannot be used; the message says why and what to do."""


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


class Database:
    """A database and its transactions.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/name`.

    Raises:
        StorageError: the URL is of another kind of database.
    """

    def __init__(self, url: str) -> None:
        place = make_url(url)
        if place.drivername in ("postgres", "postgresql"):
            place = place.set(drivername="postgresql+psycopg")
        kind = place.get_backend_name()
        if kind not in ("sqlite", "postgresql") or (kind == "sqlite" and not place.database):
            raise StorageError(
                "expected a database URL such as sqlite:///folder/backend.sqlite3 or "
                f"postgresql://user:password@host/name, got {place.render_as_string()}"
            )
        on_sqlite = kind == "sqlite"
        self.engine = _sqlite_engine(place) if on_sqlite else _postgres_engine(place)
        self.insert: Callable[[Table], Any] = sqlite.insert if on_sqlite else postgresql.insert

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes; on SQLite, wait until no other transaction writes."""
        with self.engine.connect() as connection:
            connection = connection.execution_options(**{WRITES: True})
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections; the database may still be used, and opens new ones."""
        self.engine.dispose()

    def versions(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the version of the tables, and the newest that this program knows.

        Each is a set of Alembic revisions; empty for a database without tables.
        """
        return self.version(), self.newest_version()

    def version(self) -> frozenset[str]:
        """Return the version of the tables; see `versions`."""
        from alembic.runtime.migration import MigrationContext

        with self.reading() as connection:
            return frozenset(MigrationContext.configure(connection).get_current_heads())

    def newest_version(self) -> frozenset[str]:
        """Return the newest version that this program knows; see `versions`."""
        from alembic.script import ScriptDirectory

        return frozenset(ScriptDirectory(str(MIGRATIONS)).get_heads())

    def migrate(self) -> None:
        """Bring the tables to the newest version; safe to repeat, also at the same time.

        Raises:
            StorageError: a newer version of this program has used the database.
        """
        # Imported here because the web process never migrates and has to start fast.
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise StorageError(
                    f"cannot bring the database to this version ({error}): if a newer version of "
                    "the program has used it, start that version, or set another DATABASE_URL"
                ) from error


def _engine(place: URL, **connect_args: float) -> Engine:
    return create_engine(
        place,
        connect_args=connect_args,
        pool_size=CONNECTIONS,
        max_overflow=CONNECTIONS,
        pool_pre_ping=True,
    )


def _postgres_engine(place: URL) -> Engine:
    timeouts = {name: value for name, value in POSTGRES_TIMEOUTS.items() if name not in place.query}
    return _engine(place, **timeouts)


def _sqlite_engine(place: URL) -> Engine:
    assert place.database is not None, "checked by `Database`"
    Path(place.database).parent.mkdir(parents=True, exist_ok=True)
    engine = _engine(place, timeout=LOCK_WAIT)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # so that `_begin_sqlite` begins transactions, not the driver
    connection.execute("PRAGMA foreign_keys = ON").close()
    _write_ahead(connection)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Set the journal to write-ahead, waiting while another process does the same.

    SQLite fails here at once, whatever the busy timeout: waiting with a lock held could deadlock.

    Raises:
        sqlite3.OperationalError: the database stayed locked for `LOCK_WAIT`, or cannot be written.
    """
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(SQLITE_JOURNAL.first)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
