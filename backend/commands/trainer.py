"""`python -m backend trainer`: one training worker alone."""

import click

from backend.commands.command_line import Unavailable
from backend.database.prepare import DatabaseUnusable
from backend.settings import load_settings
from backend.training.queue import TRAINING_QUEUE
from backend.workers import health
from backend.workers.training_worker import run_trainer


@click.command()
@click.option("--check", is_flag=True, help="Only report whether one is alive on this machine.")
def trainer(check: bool) -> int:
    """Run one training worker alone; requires REDIS_URL."""
    settings = load_settings()
    if check:
        return health.run(settings, TRAINING_QUEUE)
    try:
        run_trainer(settings)
    except DatabaseUnusable as error:
        raise Unavailable(str(error)) from error
    return 0
