import os
from pathlib import Path

import pytest
from label_studio_fake import UID
from test_training_registry import Scene

from backend.__main__ import main
from backend.database.connection import Database
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import ProjectStorage


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
    newest, older, own, project = capsys.readouterr().out.splitlines()
    assert newest.startswith(f"{better.version}  in use")
    assert "75.0% of 2 validation images right" in newest
    assert "bar, disc" in newest
    assert older.startswith(f"{worse.version}  candidate")
    assert own.startswith(f"{command.settings.model_version()}  active")
    assert project == f"project 3 uses {better.version}, its own"


def test_the_command_lists_the_models_as_a_project_sees_them(
    command: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    model = command.trained(1)
    assert main(["models", "--project", "3"]) == 0
    newest, own, project = capsys.readouterr().out.splitlines()
    assert newest.startswith(f"{model.version}  active")
    assert own.startswith(f"{command.settings.model_version()}  retired")
    assert project == f"project 3 uses {model.version}, its own"


def test_the_command_takes_another_for_the_deployment_and_goes_back(
    command: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    model = command.trained(1, use=False)
    assert main(["models", "use", model.version]) == 0
    assert command.registry.active() == command.active == model
    assert main(["models", "back"]) == 0
    assert command.registry.active().trained is None
    assert main(["models", "back"]) == os.EX_CONFIG
    assert main(["models", "use", "unknown"]) == os.EX_CONFIG
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "'unknown'" in said[1]


@pytest.mark.parametrize("before", [True, False])
def test_the_option_for_a_project_may_stand_before_or_after_the_verb(
    command: Scene, capsys: pytest.CaptureFixture[str], before: bool
) -> None:
    def run(*verb: str) -> int:
        option = ("--project", "3")
        return main(["models", *option, *verb] if before else ["models", *verb, *option])

    model = command.trained(1, use=False)
    assert run("use", model.version) == 0
    assert command.active == model
    assert command.registry.active().trained is None
    assert run("back") == 0
    assert command.active.trained is None
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"project 3 uses {command.settings.model_version()}, as all do"
    )
    assert run("use", model.version) == 0
    assert run("use", "deployment") == 0
    assert command.registry.own(UID) is None


def test_models_without_weights_are_shown_and_passed_over_or_refused(
    command: Scene, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    oldest, gone, _ = (command.trained(number) for number in (1, 2, 3))
    command.delete_weights(2)
    assert main(["models", "back", "--project", "3"]) == 0
    _, second, third, *_ = capsys.readouterr().out.splitlines()
    assert second.startswith(f"{gone.version}  retired    cannot be used, {gone.weights} does not")
    assert third.startswith(f"{oldest.version}  active     75.0%")
    assert f"Passed over {gone.version}: {gone.weights} does not exist" in caplog.text
    assert main(["models", "use", gone.version]) == os.EX_CONFIG
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"expected the weights of {gone.version}, but {gone.weights} does not")


def test_an_unknown_project_is_refused_with_the_known_ones(
    command: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--project", "8"]) == os.EX_CONFIG
    assert "got 8: there are 3" in capsys.readouterr().err


def test_a_model_that_the_extra_params_name_is_said_to_be_and_stays(
    command: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    model = command.trained(1, use=False)
    ProjectStorage(command.database).save_settings(UID, ProjectSettings(model=model.version))
    assert main(["models", "--project", "3"]) == 0
    assert f"uses {model.version}, named by its extra params" in capsys.readouterr().out
    assert main(["models", "back", "--project", "3"]) == os.EX_CONFIG
    assert "change them in Label Studio" in capsys.readouterr().err
