"""Make the database ready before a process starts."""

from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database, StorageError
from backend.settings import Settings


class DatabaseUnusable(RuntimeError):
    """The database cannot be opened or brought up to date; one line that says what to do."""


def prepare_database(settings: Settings) -> None:
    """Make the database where it is missing and bring its tables up to date.

    Raises:
        DatabaseUnusable: it cannot be reached, written or understood.
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
