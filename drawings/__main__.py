"""`python -m drawings COMMAND`: train on drawn vehicles, or write them as a data set."""

import sys
from collections.abc import Sequence

import click

from drawings.train import train
from drawings.write import write
from model.commands import command_line


@click.group()
def commands() -> None:
    """Train on drawn vehicles, or write them as a data set."""


commands.add_command(train)
commands.add_command(write)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    return command_line.run(commands, "python -m drawings", arguments)


if __name__ == "__main__":
    sys.exit(main())
