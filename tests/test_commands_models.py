import os
from pathlib import Path

import pytest
from test_training_registry import Scene

from backend.__main__ import main
from backend.database.connection import Database


@pytest.fixture
def command(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene(database, tmp_path)
    monkeypatch.setenv("DATA_DIR", str(scene.settings.data_dir))
    monkeypatch.setenv("MODEL_WEIGHTS", scene.settings.model_weights or "")
    return scene


def test_the_command_lists_what_there_is(
    command: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    worse, better = command.trained(1, use=False), command.trained(2)
    assert main(["models"]) == 0
    newest, older, own = capsys.readouterr().out.splitlines()
    assert newest.startswith(f"{better.version}  active")
    assert "75.0% of 2 validation images right" in newest
    assert "bar, disc" in newest
    assert older.startswith(f"{worse.version}  candidate")
    assert own.startswith(f"{command.settings.model_version()}  retired")


def test_the_command_takes_another_and_goes_back(
    command: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    model = command.trained(1, use=False)
    assert main(["models", "use", model.version]) == 0
    assert command.active == model
    assert main(["models", "back"]) == 0
    assert command.active.trained is None
    assert main(["models", "back"]) == os.EX_CONFIG
    assert main(["models", "use", "unknown"]) == os.EX_CONFIG
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "'unknown'" in said[1]
