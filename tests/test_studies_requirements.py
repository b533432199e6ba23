"""A library that only studies need may be missing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("command", [["evaluate"], ["figure", "--out", "figures"]])
def test_a_library_that_is_missing_is_named_in_one_line_with_what_to_install(command, tmp_path):
    without_captum = (
        "import sys; sys.modules['captum'] = sys.modules['captum.attr'] = None; "
        "from studies.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", without_captum, *command, "--data", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "expected the module captum" in ended.stderr
    assert "pip install -r requirements-dev.txt" in ended.stderr
    assert ended.stderr.count("\n") == 1
