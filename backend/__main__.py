"""`python -m backend COMMAND`: every process and tool of the backend."""

import sys
from collections.abc import Sequence

import click

from backend.commands.command_line import LazyGroup, run

# Name → where the command is defined, in the order of --help.
COMMANDS = {
    "serve": "backend.commands.serve:serve",
    "web": "backend.commands.web:web",
    "worker": "backend.commands.worker:worker",
    "trainer": "backend.commands.trainer:trainer",
    "demo": "backend.commands.demo:demo",
    "connect": "backend.commands.connect:connect",
    "doctor": "backend.commands.doctor:doctor",
    "prelabel": "backend.commands.prelabel:prelabel",
    "train": "backend.commands.train:train",
    "models": "backend.commands.models:models",
    "learn": "backend.commands.learn:learn",
    "order": "backend.commands.order:order",
    "jobs": "backend.commands.jobs:jobs",
    "sync": "backend.commands.sync:sync",
    "cvat": "backend.commands.cvat:cvat",
    "report": "backend.commands.report:report",
    "export": "backend.commands.export:export",
    "backup": "backend.commands.backup:backup",
    "restore": "backend.commands.restore:restore",
    "purge": "backend.commands.purge:purge",
}


@click.group(cls=LazyGroup, lazy_commands=COMMANDS)
def backend() -> None:
    """Suggest keypoints in Label Studio. Settings come from environment variables."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    return run(backend, arguments)


if __name__ == "__main__":
    sys.exit(main())
