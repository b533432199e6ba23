"""`python -m backend worker`: one worker, which detects keypoints."""

import click

from backend.commands.command_line import Unavailable
from backend.database.prepare import DatabaseUnusable
from backend.settings import Settings, load_settings
from backend.workers import health


@click.command()
@click.option(
    "--check", is_flag=True, help="Only report whether a worker is running on this machine."
)
def worker(check: bool) -> int:
    """Run one worker, which detects keypoints; requires REDIS_URL."""
    settings = load_settings()
    if check:
        return health.run(settings)
    _work(settings)
    return 0


def _work(settings: Settings) -> None:
    # Imported here because it loads torch, which --check and --help do not need.
    from backend.workers.detection_worker import run_worker

    try:
        run_worker(settings)
    except DatabaseUnusable as error:
        if error.may_pass:
            raise Unavailable(str(error)) from error
        raise
