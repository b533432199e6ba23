"""SQL that deletes the tokens that `/setup` has brought, where they are of no use."""

import logging

from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from backend.database.connection import Database
from backend.labelstudio.projects import projects

logger = logging.getLogger(__name__)

_STORED = projects.c.access_token.is_not(None)


def count_tokens(database: Database) -> int:
    """Return how many projects have a token that `/setup` has brought."""
    with database.reading() as connection:
        return connection.scalar(select(func.count()).where(_STORED)) or 0


def forget_tokens(database: Database) -> int:
    """Delete all tokens that `/setup` has brought, also from the files of the database.

    Returns:
        How many projects had one.
    """
    with database.writing() as connection:
        count = connection.execute(update(projects).where(_STORED).values(access_token=None))
    if count.rowcount:
        logger.info("Deleted the tokens of %d projects, which are not needed", count.rowcount)
        try:
            database.shrink_table(projects.name)
        except OperationalError as error:
            reason = str(error.orig).partition("\n")[0]
            logger.warning("Their bytes stay in the files until the next vacuum: %s", reason)
    return count.rowcount
