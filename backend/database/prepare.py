"""Prepare the database before a process uses it, and say at once if it cannot be used."""

from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database, StorageError
from backend.database.faults import DatabaseFault, fault_of
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

    Raises:
        DatabaseUnusable: it cannot be reached or written, it is damaged or locked, or a newer
            version has used it.
    """
    try:
        database = Database(settings.database)
        try:
            check_pages(database, seconds=CHECK_SECONDS)
            database.migrate()
        finally:
            database.close()
    except (OSError, SQLAlchemyError, StorageError) as error:
        raise unusable(settings, error) from error


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
