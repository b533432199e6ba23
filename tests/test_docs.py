"""The settings, commands and routes in the README are those of the code."""

import re
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import click
import pytest
from redis import Redis
from rq import Queue

from backend.__main__ import COMMANDS as BACKEND_COMMANDS
from backend.__main__ import backend
from backend.database.connection import Database
from backend.settings import Settings
from backend.web.app import create_app
from model.settings import PRESETS, DetectorSettings

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


# | `DETECTOR_NAME` | `default` | `poster` | meaning |
MEANINGS = dict(re.findall(r"^\| `(DETECTOR_[A-Z_]+)` .* \| ([^|]+) \|$", README, re.MULTILINE))


def detector_row(setting: Field[Any]) -> str:
    """The row of the README about a setting of the detector."""
    default, poster = (getattr(PRESETS[name], setting.name) for name in ("default", "poster"))
    name = f"DETECTOR_{setting.name.upper()}"
    cells = [
        f"`{name}`",
        as_code(default),
        as_code(poster) if poster != default else "",
        setting.metadata.get("help", MEANINGS.get(name, "")),
    ]
    return "".join(f"| {cell} " if cell else "| " for cell in cells) + "|"


def as_code(value: object) -> str:
    return f"`{'none' if value is None else value}`"


def test_the_readme_has_every_setting_of_the_detector_as_the_code_has_it():
    """One declaration in model/settings.py: here are the rows that it makes."""
    wanted = [detector_row(setting) for setting in fields(DetectorSettings)]
    found = [line for line in README.splitlines() if line.startswith("| `DETECTOR_")]
    table = [line for line in found if "…" not in line]
    assert len(table) == len(wanted)
    for row, line in zip(wanted, table, strict=True):
        assert line == row, f"the README needs this row:\n{row}"


def test_the_readme_has_every_command_in_the_words_of_its_help():
    context = click.Context(backend)
    rows = [
        f"| `{name}` | {backend.get_command(context, name).get_short_help_str(limit=200)} |"
        for name in BACKEND_COMMANDS
    ]
    assert "\n".join(rows) in README, "\n".join(["the README needs these rows:", *rows])


# | METHOD | `/path` | for | meaning |
ROUTES = re.findall(r"^\| ([A-Z]+) \| `(/[^`]*)` \| [^|]+ \| [^|]+ \|$", README, re.MULTILINE)


def test_the_readme_has_every_route_and_no_other(tmp_path: Path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    app = create_app(
        Settings(model_weights=str(weights)),
        Database(f"sqlite:///{tmp_path / 'backend.sqlite3'}"),
        Queue(connection=Redis()),
    )
    served = [
        (method, rule.rule.replace("<int:task_id>", "<task>"))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    assert sorted(ROUTES) == sorted(served)


TARGETS = sorted(set(re.findall(r"(?:^ *|`)make ([a-z0-9]+(?:-[a-z0-9]+)*)", README, re.MULTILINE)))


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_in_the_readme_is_in_the_makefile(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)#]+)\)", README))))
def test_every_link_to_a_file_leads_to_one(link):
    assert (ROOT / link).exists()


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PATHS = re.findall(r"`((?:backend|model|drawings|studies|tests|docs)/[a-z0-9_/.]*)`", CONTRIBUTING)


@pytest.mark.parametrize("path", sorted(set(PATHS)))
def test_every_path_in_the_guide_for_contributors_exists(path):
    assert (ROOT / path).exists()


def test_the_guide_for_contributors_has_a_row_for_every_package_of_the_backend():
    packages = {f"backend/{folder.parent.name}/" for folder in ROOT.glob("backend/*/__init__.py")}
    assert packages <= set(PATHS)


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
