"""Run a command line and report its errors in one line, for every `python -m` but the backend's."""

import io
import sys
from collections.abc import Sequence

import click

WRONG_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report Ctrl-C


def run(group: click.Group, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run one command of a group and report an error of the caller in one line on stderr.

    The caller's errors are those of click and every `ValueError` or `OSError` of the command,
    among them `Refused` and `WeightsError` of `model.networks`.

    Args:
        group: its commands return their exit status, or None for 0.
        name: name of the program, such as "python -m model".
        arguments: those of this process if None.

    Returns:
        The exit status: the command's own, 2 for wrong input, or 130 after Ctrl-C.
    """
    print_any_name()
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        status = group.main(given, prog_name=name, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return WRONG_INPUT
    except click.ClickException as error:
        message = error.format_message()
    except (ValueError, OSError) as error:
        message = str(error)
    except click.Abort:  # click raises it in place of KeyboardInterrupt
        return INTERRUPTED
    else:
        return status or 0
    command = given[:1] if given[:1] and given[0] in group.commands else []
    print(f"{' '.join([name, *command])}: {message}", file=sys.stderr)
    return WRONG_INPUT


def print_any_name() -> None:
    """Let stdout and stderr escape what their encoding lacks, such as odd file names in ASCII."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
