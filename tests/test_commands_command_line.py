"""How errors of commands become exit statuses and one line on stderr."""

import os

import click
import pytest

from backend.commands.command_line import LazyGroup, Refusal, Unavailable, refusing, run
from backend.settings import SettingsError


def group_with(command: click.Command) -> click.Group:
    group = click.Group("backend")
    group.add_command(command, "command")
    return group


def status_of(error: BaseException) -> int:
    """The exit status of a command that raises an error."""

    @click.command()
    def command() -> None:
        raise error

    return run(group_with(command), ["command"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SettingsError("PORT: wrong"), os.EX_CONFIG),
        (RuntimeError("the port is taken"), os.EX_CONFIG),
        (Refusal("no such project"), os.EX_CONFIG),
        (Unavailable("no database"), os.EX_UNAVAILABLE),
    ],
)
def test_a_refusal_is_one_line_with_the_status_of_its_kind(error, status, capsys):
    assert status_of(error) == status
    message = error.message if isinstance(error, click.ClickException) else str(error)
    assert capsys.readouterr().err == f"{message}\n"


def test_ctrl_c_ends_with_the_status_that_shells_give_it(capsys):
    assert status_of(KeyboardInterrupt()) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_that_nobody_expected_keeps_its_traceback():
    with pytest.raises(KeyError):
        status_of(KeyError("id"))


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1)])
def test_what_a_command_returns_is_its_exit_status(returned, status):
    @click.command()
    def command() -> int | None:
        return returned

    assert run(group_with(command), ["command"]) == status


def test_only_the_errors_that_are_named_become_a_refusal():
    with pytest.raises(Refusal, match="no such model"), refusing(ValueError):
        raise ValueError("no such model")
    with pytest.raises(KeyError), refusing(ValueError):
        raise KeyError("id")


def test_a_command_is_imported_when_it_is_used(capsys):
    group = LazyGroup(
        "backend", lazy_commands={"doctor": "backend.commands.doctor:doctor", "gone": "gone:gone"}
    )
    assert run(group, ["doctor", "--help"]) == 0
    assert "Check a deployment" in capsys.readouterr().out
    with pytest.raises(ModuleNotFoundError):
        run(group, ["gone"])
