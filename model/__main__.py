"""`python -m model COMMAND`: detection and training without any service."""

import sys
from collections.abc import Sequence

import click

from model.commands import command_line
from model.commands.detect import detect
from model.commands.train import train


@click.group()
def commands() -> None:
    """Detect keypoints and train classifiers, without any service."""


commands.add_command(detect)
commands.add_command(train)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    return command_line.run(commands, "python -m model", arguments)


if __name__ == "__main__":
    sys.exit(main())
