"""SQLite or PostgreSQL: connections, transactions and migrations."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from backend.retries import SQLITE_JOURNAL, SQLITE_LOCK, jittered

WRITES = "writes"  # execution option of a transaction that writes
# One connection for every thread of a web process.
CONNECTIONS = 20  # kept open; as many again at the busiest moments
# Rows per statement: SQLite takes 32 766 parameters, PostgreSQL 65 535.
CHUNK = 500
JOURNAL_BYTES = 64 << 20  # of SQLite's write-ahead log while it is not needed
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
LOCK_TIMEOUT = "30s"  # of a migration on PostgreSQL, while others read and write
SHRINK_WAIT_MILLISECONDS = 1000  # for others who use what is to be shrunk quickly
MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 726_173_015  # arbitrary, but the same for every process of this project


class StorageError(Exception):
    """The database cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class SchemaVersions:
    """Versions of tables, as Alembic's revisions.

    Attributes:
        found: of the database; empty for one without tables.
        newest: that this program brings a database to.
        known: all that this program has ever had.
    """

    found: frozenset[str]
    newest: frozenset[str]
    known: frozenset[str]


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

    def versions(self) -> "SchemaVersions":
        """Return the version of the tables, and those that this program knows."""
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory(str(MIGRATIONS))
        known = frozenset(script.revision for script in scripts.walk_revisions())
        return SchemaVersions(self.version(), frozenset(scripts.get_heads()), known)

    def version(self) -> frozenset[str]:
        """Return the version of the tables; see `versions`."""
        from alembic.runtime.migration import MigrationContext

        with self.reading() as connection:
            # Alembic asks through a new table each time, and each would be kept beside statements
            # that come again.
            connection.execution_options(compiled_cache=None)
            return frozenset(MigrationContext.configure(connection).get_current_heads())

    def newest_version(self) -> frozenset[str]:
        """Return the newest version that this program knows; see `versions`."""
        from alembic.script import ScriptDirectory

        return frozenset(ScriptDirectory(str(MIGRATIONS)).get_heads())

    def expect_writable(self) -> None:
        """Begin to write, and write nothing.

        Raises:
            StorageError, OperationalError: nothing can be written now.
        """
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                _expect_writable(connection)

    def migrate(self) -> None:
        """Bring the tables to the newest version; safe to repeat, also at the same time.

        Raises:
            StorageError: a newer version of this program has used the database, or PostgreSQL
                lets nobody write to it.
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
                # Another migration may take long; nobody else should hold a table for so long.
                connection.execute(select(func.set_config("lock_timeout", LOCK_TIMEOUT, True)))
                _expect_writable(connection)
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise StorageError(
                    f"it is newer than this program ({error}): start the newer version of the "
                    "program that has used it, or set another DATABASE_URL or DATA_DIR"
                ) from error

    def shrink(self) -> None:
        """Let the files hold nothing of what was deleted; waits for other transactions to end."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.exec_driver_sql("VACUUM (FULL, ANALYZE)")
                return
            # Through the driver, because neither may stand in a transaction.
            driver: Any = connection.connection.driver_connection
            driver.execute("VACUUM").close()
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def shrink_table(self, name: str) -> None:
        """Let the files hold nothing of what was deleted from a small table, if that is quick.

        On SQLite, what is deleted is overwritten; here its journal is emptied, unless others read.

        Raises:
            OperationalError: others use the table of PostgreSQL for too long.
        """
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.exec_driver_sql(f"SET lock_timeout = {SHRINK_WAIT_MILLISECONDS}")
                try:
                    connection.exec_driver_sql(f"VACUUM (FULL) {name}")
                finally:
                    connection.exec_driver_sql("RESET lock_timeout")
                return
            with _waiting_for_locks(connection, SHRINK_WAIT_MILLISECONDS) as driver:
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def damage(self, *, seconds: float) -> str | None:
        """Look for damaged pages of an SQLite file, as many as can be read in this time.

        Returns:
            The first finding; None if there is none, and for PostgreSQL, which checks itself.
        """
        if self.engine.dialect.name != "sqlite":
            return None
        deadline = time.monotonic() + seconds
        with self.reading() as connection:
            driver: Any = connection.connection.driver_connection
            # It is called every so many steps of SQLite's machine; True ends the statement.
            driver.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            try:
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            except OperationalError as error:
                if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
                    raise
                return None
            finally:
                driver.set_progress_handler(None, 0)
        return None if found == "ok" else " ".join(str(found).split())


def _expect_writable(connection: Connection) -> None:
    if connection.scalar(select(func.current_setting("transaction_read_only"))) == "on":
        raise StorageError(
            "PostgreSQL only reads (a standby, or default_transaction_read_only is on): set "
            "DATABASE_URL to the primary server, or switch that setting off"
        )


def _engine(place: URL, *, ping: bool, **connect_args: float) -> Engine:
    return create_engine(
        place,
        connect_args=connect_args,
        pool_size=CONNECTIONS,
        max_overflow=CONNECTIONS,
        pool_pre_ping=ping,
    )


def _postgres_engine(place: URL) -> Engine:
    timeouts = {name: value for name, value in POSTGRES_TIMEOUTS.items() if name not in place.query}
    return _engine(place, ping=True, **timeouts)


def _sqlite_engine(place: URL) -> Engine:
    assert place.database is not None, "checked by `Database`"
    Path(place.database).parent.mkdir(parents=True, exist_ok=True)
    engine = _engine(place, ping=False, timeout=LOCK_WAIT)  # a file does not hang up
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # so that `_begin_sqlite` begins transactions, not the driver
    connection.execute("PRAGMA foreign_keys = ON").close()
    _write_ahead(connection)
    # Overwrite what is deleted, at least as far as that writes no more pages.
    if connection.execute("PRAGMA secure_delete").fetchone() == (0,):
        connection.execute("PRAGMA secure_delete = FAST").close()
    # After many writes during a long read the journal is cut back to this size.
    connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}").close()


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
    if connection.get_execution_options().get(WRITES, False):
        _begin_to_write(connection)
    else:
        connection.exec_driver_sql("BEGIN")


def _begin_to_write(connection: Connection) -> None:
    """Begin as soon as no other transaction writes.

    SQLite itself looks every 100 ms in the end, and whoever comes meanwhile goes first.

    Raises:
        OperationalError: others have written for `LOCK_WAIT`, or nothing can be written.
    """
    deadline = time.monotonic() + LOCK_WAIT
    with _waiting_for_locks(connection, 0):
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                code = getattr(error.orig, "sqlite_errorcode", 0)
                if code & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(jittered(SQLITE_LOCK.first))


@contextmanager
def _waiting_for_locks(connection: Connection, milliseconds: int) -> Iterator[Any]:
    """Have SQLite itself wait so long for others inside the block; yield the driver's connection.

    The driver sets that far quicker than SQLAlchemy.
    """
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA busy_timeout = {milliseconds}").close()
    try:
        yield driver
    finally:
        driver.execute(f"PRAGMA busy_timeout = {round(1000 * LOCK_WAIT)}").close()
