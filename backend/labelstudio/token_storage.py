"""SQL that deletes the tokens that `/setup` has brought, where they are of no use."""

import logging

from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from backend.database.connection import Database
from backend.labelstudio.projects import projects

logger = logging.getLogger(__name__)


def forget_tokens(database: Database) -> int:
    """Delete all tokens that `/setup` has brought, also from the files of the database.

    Returns:
        How many projects had one.
    """
    stored = update(projects).where(projects.c.access_token.is_not(None))
    with database.writing() as connection:
        count = connection.execute(stored.values(access_token=None)).rowcount
    if count:
        logger.info("Deleted the tokens of %d projects, which are not needed", count)
        try:
            database.shrink_table(projects.name)
        except OperationalError as error:
            reason = str(error.orig).partition("\n")[0]
            logger.warning("Their bytes stay in the files until the next vacuum: %s", reason)
    return count
