"""Which weights of old trainings are deleted, on both databases."""

from pathlib import Path

import pytest
from label_studio_fake import UID
from test_training_registry import OUTCOME, Scene, new_model

from backend.database.connection import Database
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import ProjectStorage
from backend.training.kept_weights import delete_old_weights
from backend.training.records import TrainingOptions

OTHER = "4.1795347724"


class Weights(Scene):
    """Models with weights files."""

    def train(self, *numbers: int, use: bool = True) -> None:
        for number in numbers:
            self.trained(number, use=use)

    def delete(self, keep: int) -> list[int]:
        """Apply the rule; the numbers of the models whose weights were deleted."""
        settings = self.settings.model_copy(update={"keep_models": keep})
        return sorted(
            int(name.partition(".")[0]) for name in delete_old_weights(settings, self.database, UID)
        )

    def left(self) -> list[int]:
        """The numbers of the models that have both files."""
        folder = self.settings.models_folder
        weights = {int(path.stem) for path in folder.glob("*.safetensors")}
        assert weights == {int(path.stem) for path in folder.glob("*.json")}
        return sorted(weights)


@pytest.fixture
def scene(any_database: Database, tmp_path: Path) -> Weights:
    return Weights(any_database, tmp_path)


def test_the_last_models_keep_their_weights_and_the_database_knows_all(scene: Weights) -> None:
    scene.train(*range(1, 8), use=False)
    assert scene.delete(keep=3) == [1, 2, 3, 4]
    assert scene.left() == [5, 6, 7]
    assert scene.delete(keep=3) == []
    assert len(scene.models.models()) == 7


def test_the_active_model_and_those_before_it_keep_their_weights(scene: Weights) -> None:
    scene.train(1, 2, 3)
    scene.train(*range(4, 9), use=False)
    assert scene.delete(keep=1) == [1, 4, 5, 6, 7]
    assert scene.left() == [2, 3, 8]
    assert Path(scene.active.weights).name == "3.safetensors"
    assert Path(scene.registry.activate_previous(UID).weights).is_file()


def test_going_back_beyond_the_kept_models_ends_at_the_last_one_that_can_be_used(
    scene: Weights,
) -> None:
    scene.train(*range(1, 7))
    assert scene.delete(keep=2) == [1, 2, 3]
    found = [scene.registry.activate_previous(UID) for _ in range(3)]
    assert [Path(model.weights).stem for model in found] == ["5", "4", "weights"]
    assert all(Path(model.weights).is_file() for model in found)


def test_a_model_of_the_deployment_or_named_by_a_project_keeps_its_weights(
    scene: Weights,
) -> None:
    scene.train(*range(1, 7), use=False)
    first, second = scene.registry.all()[-2], scene.registry.all()[-3]
    scene.registry.activate(first.version)
    projects = ProjectStorage(scene.database)
    projects.save_label_config(OTHER, "<View/>")
    projects.save_settings(OTHER, ProjectSettings(model=second.version))
    assert scene.delete(keep=1) == [3, 4, 5]
    assert scene.left() == [1, 2, 6]


def test_other_projects_keep_their_weights(scene: Weights) -> None:
    ProjectStorage(scene.database).save_label_config(OTHER, "<View/>")
    training, _ = scene.trainings.request(OTHER, TrainingOptions())
    scene.trainings.succeed(training.id, new_model(100), OUTCOME, use=False)
    scene.write_weights(100)
    scene.train(1, 2, use=False)
    assert scene.delete(keep=1) == [1]
    assert scene.left() == [2, 100]


def test_zero_keeps_all(scene: Weights) -> None:
    scene.train(*range(1, 5), use=False)
    assert scene.delete(keep=0) == []


def test_files_that_cannot_be_deleted_are_named(
    scene: Weights, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.train(1, 2, use=False)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patches:
        patches.setattr(Path, "unlink", refuse)
        assert scene.delete(keep=1) == []
    assert "cannot be deleted" in caplog.text
    assert scene.delete(keep=1) == [1]
