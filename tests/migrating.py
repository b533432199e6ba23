"""Bring a database to an earlier version, as one that an earlier program left behind."""

from alembic import command
from alembic.config import Config

from backend.database.connection import MIGRATIONS, Database


def upgrade(database: Database, revision: str) -> None:
    """Make the tables of a revision in an empty database."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def downgrade(database: Database, revision: str) -> None:
    """Undo the migrations after a revision."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
