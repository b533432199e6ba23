"""Prepare the database before a process answers Label Studio."""

from backend.database.connection import Database
from backend.database.prepare import prepare_database
from backend.labelstudio.token_storage import forget_tokens
from backend.settings import Settings


def prepare_contract(settings: Settings) -> None:
    """Prepare the database, and delete the tokens in it that these settings leave no use for.

    For processes that would store such tokens as well: a command that is run without the settings
    of the backend must not delete what that uses.

    Raises:
        DatabaseUnusable: see `prepare_database`.
    """
    prepare_database(settings)
    if not settings.uses_tokens_of_setup:
        database = Database(settings.database)
        try:
            forget_tokens(database)
        finally:
            database.close()
