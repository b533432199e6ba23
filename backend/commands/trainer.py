"""`python -m backend trainer`: one trainer, a worker that trains."""

import click

from backend.commands.command_line import Unavailable
from backend.database.prepare import DatabaseUnusable
from backend.settings import load_settings
from backend.training.queue import TRAINING_QUEUE
from backend.workers import health
from backend.workers.training_worker import run_trainer


@click.command()
@click.option(
    "--check", is_flag=True, help="Only report whether a trainer is running on this machine."
)
def trainer(check: bool) -> int:
    """Run one trainer, a worker that trains; requires REDIS_URL."""
    settings = load_settings()
    if check:
        return health.run(settings, TRAINING_QUEUE)
    try:
        run_trainer(settings)
    except DatabaseUnusable as error:
        if error.may_pass:
            raise Unavailable(str(error)) from error
        raise
    return 0
