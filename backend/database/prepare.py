"""Prepare the database before a process uses it, and say at once if it cannot be used."""

import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database, StorageError
from backend.database.faults import DatabaseFault, fault_of
from backend.private_files import close_to_others
from backend.settings import Settings

# A start takes at most this much longer; a small database is checked as a whole.
CHECK_SECONDS = 1.0


class DatabaseUnusable(RuntimeError):
    """The database cannot be opened or migrated; the message says what to do, in one line.

    Attributes:
        may_pass: whether it may be over soon, so that a restart may succeed.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


def prepare_database(settings: Settings) -> None:
    """Create the database if it does not exist, and bring its tables to the newest version.

    Its files, those of the embedded Redis and the trained models are for their owner alone, also
    where an earlier version has left them open to others.

    Raises:
        DatabaseUnusable: it cannot be reached or written, it is damaged or locked, or a newer
            version has used it.
    """
    try:
        _create_privately(settings)
        close_to_others(_private_files(settings))
        database = Database(settings.database)
        try:
            check_pages(database, seconds=CHECK_SECONDS)
            database.migrate()
        finally:
            database.close()
    except (OSError, SQLAlchemyError, StorageError) as error:
        raise unusable(settings, error) from error


def _create_privately(settings: Settings) -> None:
    """Make SQLite's file before SQLite does, which asks the umask; its other files follow it."""
    file = _sqlite_file(settings)
    if file is not None and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))


def _private_files(settings: Settings) -> Iterator[Path]:
    file = _sqlite_file(settings)
    if file is not None and not file.is_dir():
        yield from (file.with_name(file.name + ending) for ending in ("", "-wal", "-shm"))
    yield settings.data_dir / "redis"
    models = settings.models_folder
    for pattern in ("*.safetensors", "*.json", "training-*"):
        yield from models.glob(pattern)


def _sqlite_file(settings: Settings) -> Path | None:
    place = make_url(settings.database)
    named = place.get_backend_name() == "sqlite" and place.database not in (None, "", ":memory:")
    return Path(str(place.database)) if named else None


def check_pages(database: Database, *, seconds: float) -> None:
    """Check the pages of an SQLite file, as many as can be read in this time.

    Raises:
        StorageError: some are damaged.
    """
    damage = database.damage(seconds=seconds)
    if damage is not None:
        raise StorageError(str(DatabaseFault("corrupt", damage)))


def unusable(settings: Settings, error: Exception) -> DatabaseUnusable:
    """Return the error that says which database cannot be used, why, and what to do."""
    place = "DATABASE_URL" if settings.database_url else f"DATA_DIR ({settings.data_dir})"
    if isinstance(error, StorageError):
        return DatabaseUnusable(f"expected to open the database of {place}, but {error}")
    fault = fault_of(error)
    return DatabaseUnusable(
        f"expected to open the database of {place}, but {fault}", may_pass=fault.may_pass
    )
