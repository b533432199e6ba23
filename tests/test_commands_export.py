import importlib
from collections.abc import Iterator
from types import ModuleType

import click
import pytest

from backend.agreement.exports.formats import FORMATS, Format
from backend.commands import export


@pytest.fixture
def reloaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The command with one more format."""
    added = Format("Text", "text/plain", "txt", ("annotations",), lambda content: iter([]))
    with monkeypatch.context() as patch:
        patch.setitem(FORMATS, "text", added)
        yield importlib.reload(export)
    importlib.reload(export)


def choices(command: click.Command, name: str) -> list[str]:
    [option] = [each for each in command.params if each.name == name]
    assert isinstance(option.type, click.Choice)
    return list(option.type.choices)


def help_of(command: click.Command) -> str:
    return " ".join(command.get_help(click.Context(command)).split())


def test_every_format_can_be_chosen():
    assert choices(export.export, "format_") == list(FORMATS)
    assert choices(export.export, "what") == ["verdicts", "statistics"]
    said = help_of(export.export)
    assert "Tables: csv, json, jsonl and parquet." in said
    assert "Annotations: coco, label-studio, yolo and deeplabcut." in said
    assert "Content of csv, json, jsonl and parquet. Default: verdicts." in said


def test_a_new_row_of_formats_is_a_new_choice(reloaded: ModuleType):
    assert choices(reloaded.export, "format_") == [*FORMATS]
    assert "text" in FORMATS
    assert "Annotations: coco, label-studio, yolo, deeplabcut and text." in help_of(reloaded.export)
