"""Prepare the database before a process uses it."""

from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database, StorageError
from backend.settings import Settings


class DatabaseUnusable(RuntimeError):
    """The database cannot be opened or migrated; the message says what to do, in one line."""


def prepare_database(settings: Settings) -> None:
    """Create the database if it does not exist, and bring its tables to the newest version.

    Raises:
        DatabaseUnusable: it cannot be reached or written, or a newer version has used it.
    """
    try:
        database = Database(settings.database)
        database.migrate()
        database.close()
    except (OSError, SQLAlchemyError, StorageError) as error:
        place = "DATABASE_URL" if settings.database_url else f"DATA_DIR ({settings.data_dir})"
        reason = str(error).partition("\n")[0]
        raise DatabaseUnusable(
            f"expected to open the database of {place}, but: {reason}"
        ) from error
