"""Open the database for the duration of a command."""

from collections.abc import Iterator
from contextlib import contextmanager

from backend.database.connection import Database
from backend.database.prepare import prepare_database
from backend.settings import Settings


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Bring the database up to date and open it for the block.

    Raises:
        DatabaseUnusable: it cannot be reached, written or understood.
    """
    prepare_database(settings)
    database = Database(settings.database)
    try:
        yield database
    finally:
        database.close()
