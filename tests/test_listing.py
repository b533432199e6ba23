"""The large listings of `listing_run`, in a short form: killed halfway, nothing is left out."""

from pathlib import Path

import pytest
from listing_run import COMMANDS, as_table, run_listing


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_that_is_killed_halfway_leaves_nothing_out(command: str, tmp_path: Path) -> None:
    found = run_listing(tmp_path, command, 2000)
    assert found.tasks == 2020
    assert found.rows == found.expected
    assert found.pages >= 21
    assert found.repeated <= 2  # the page that it was killed at, and perhaps the last one
    assert f"| `{command}` | 2,020 |" in as_table([found])
