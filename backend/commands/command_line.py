"""The command line: find commands, run them, and report errors in one line."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from backend.settings import SettingsError
from model.commands.command_line import print_any_name

PROGRAM = "python -m backend"
INTERRUPTED = 130  # 128 + SIGINT, as shells report Ctrl-C


class LazyGroup(click.Group):
    """A group that imports a command when it is used, so that the others need not load.

    Args:
        lazy_commands: name → "module:attribute" of the command.
    """

    def __init__(self, *args: Any, lazy_commands: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy_commands = lazy_commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(self._lazy_commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None for an unknown name."""
        place = self._lazy_commands.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


class Refusal(click.ClickException):
    """The command cannot do what was asked; the message says why and what to do.

    `serve` does not restart a process that ends with this status.
    """

    exit_code = os.EX_CONFIG


class Unavailable(click.ClickException):
    """Something that the command needs cannot be reached now; a restart may succeed."""

    exit_code = os.EX_UNAVAILABLE


@contextmanager
def refusing(*errors: type[Exception]) -> Iterator[None]:
    """Inside the block, turn these library errors into a `Refusal`."""
    try:
        yield
    except errors as error:
        raise Refusal(str(error)) from error


def run(group: click.Group, arguments: Sequence[str] | None = None) -> int:
    """Run one command of a group and report a failure in one line on stderr.

    Args:
        group: its commands return their exit status, or None for 0.
        arguments: those of this process if None.

    Returns:
        The exit status: the command's own, 2 for wrong usage, `EX_CONFIG` for a refusal,
        `EX_UNAVAILABLE` if a restart may help, or 130 after Ctrl-C.
    """
    print_any_name()
    try:
        status: int | None = group.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        print(error.format_message(), file=sys.stderr)
        return error.exit_code
    except click.Abort:  # click raises it in place of KeyboardInterrupt
        return INTERRUPTED
    except (SettingsError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return os.EX_CONFIG
    except Exception as error:
        return _exit_status(error)
    return status or 0


def _exit_status(error: Exception) -> int:
    """Report in one line that the database failed, and return the status; raise other errors."""
    # Imported here because --help needs no database.
    from sqlalchemy.exc import DBAPIError

    from backend.database.faults import fault_of

    if not isinstance(error, DBAPIError) or (fault := fault_of(error)).kind == "unknown":
        raise error
    print(f"expected the database to work, but {fault}", file=sys.stderr)
    return os.EX_UNAVAILABLE if fault.may_pass else os.EX_CONFIG
