"""What the README says of settings and commands is what the code does."""

import re
from pathlib import Path

import pytest

from backend.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

# | `NAME` | `default` | meaning |
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? *\|", README, re.MULTILINE))


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_readme_with_its_default(name):
    assert name.upper() in ROWS, f"the README has no row for {name.upper()}"
    default = Settings.model_fields[name].default
    if default is None and name == "detector_input_size":
        default = "none"
    assert ROWS[name.upper()] == ("" if default in (None, ()) else str(default))


def test_the_readme_names_no_setting_that_does_not_exist():
    assert set(ROWS) == {name.upper() for name in Settings.model_fields}


TARGETS = sorted(set(re.findall(r"(?:^ *|`)make ([a-z0-9]+)", README, re.MULTILINE)))


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_in_the_readme_is_in_the_makefile(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)#]+)\)", README))))
def test_every_link_to_a_file_leads_to_one(link):
    assert (ROOT / link).exists()


DOCUMENTED = README + "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
COMMANDS = sorted(
    set(re.findall(r"python -m (backend|drawings|model|studies) ([a-z]+(?:-[a-z]+)*)", DOCUMENTED))
)


@pytest.mark.parametrize(("package", "command"), COMMANDS)
def test_every_command_in_the_documents_exists(package, command, capsys):
    main = __import__(f"{package}.__main__", fromlist=["main"]).main
    try:
        status = main([command, "--help"])
    except SystemExit as ended:
        status = ended.code
    assert status == 0
    assert "usage:" in capsys.readouterr().out.lower()
