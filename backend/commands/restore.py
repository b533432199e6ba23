"""`python -m backend restore`: put a backup into an empty database."""

from pathlib import Path

import click
from redis import Redis
from redis.exceptions import RedisError

from backend.commands.command_line import Refusal, refusing
from backend.commands.open_database import open_database
from backend.database.connection import Database, StorageError
from backend.local.embedded_redis import redis_url
from backend.settings import Settings, load_settings
from backend.upkeep.backup import restore_backup
from backend.upkeep.backup_storage import DatabaseNotEmpty
from backend.upkeep.storage import DeploymentStorage
from backend.workers.cards import worker_cards


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Delete what the database holds.")
def restore(file: Path, overwrite: bool) -> int:
    """Restore a backup into an empty database of either kind."""
    with refusing(DatabaseNotEmpty, StorageError):
        return restore_from(load_settings(), file, overwrite=overwrite)


def restore_from(settings: Settings, file: Path, *, overwrite: bool) -> int:
    """Restore a backup.

    Returns:
        0.

    Raises:
        DatabaseUnusable, BackupUnreadable, DatabaseNotEmpty, StorageError: nothing was restored;
            the message says why.
        Refusal: workers still use the database.
    """
    with open_database(settings) as database:
        _expect_no_worker(settings, database)
        summary = restore_backup(file, database, settings.models_folder, overwrite=overwrite)
    print(f"Restored {sum(summary.rows.values())} rows of {summary.made_at}.")
    print(
        "Start the backend: it goes on with what was unfinished, and fetches what annotators have "
        "done since from Label Studio (`python -m backend sync` does so at once)."
    )
    return 0


def _expect_no_worker(settings: Settings, database: Database) -> None:
    try:
        with Redis.from_url(redis_url(settings), socket_timeout=5) as connection:
            cards = worker_cards(connection)
    except (RedisError, OSError):
        return  # without Redis no worker works
    own = DeploymentStorage(database).name()
    hosts = sorted({card.host for card in cards if card.deployment == own})
    if hosts:
        raise Refusal(
            f"expected no worker to use the database, but there are some on {', '.join(hosts)}: "
            "stop the backend, wait two minutes, and try again"
        )
