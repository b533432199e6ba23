"""The threat model in `docs/security.md` names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs/security.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+)`", DOCUMENT)))


@pytest.fixture(scope="module")
def tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {
        name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }


def test_threats_are_listed() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize("name", NAMED)
def test_every_test_that_the_document_names_exists(name: str, tests: set[str]) -> None:
    assert name in tests


def test_every_threat_names_what_shows_that_it_is_met() -> None:
    rows = re.findall(r"^\| (?!What could|-|\|)(.+) \|$", DOCUMENT, re.M)
    rows = [row for row in rows if not set(row) <= set("-| ")]
    assert rows
    for row in rows:
        assert re.search(r"`test_\w+`", row.split(" | ")[-1]), row
