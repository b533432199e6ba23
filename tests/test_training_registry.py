"""Which model answers: on both kinds of database, without a network."""

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from label_studio_fake import UID

from backend.__main__ import main
from backend.database.connection import Database
from backend.database.schema import metadata
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.training.records import NewModel, Outcome, Wishes
from backend.training.registry import Model, ModelRegistry, UnknownModel, model_that_answers
from backend.training.storage import TrainingStorage

OUTCOME = Outcome("class", {"bar": 4, "disc": 4}, [("task 1", "too small")], ["few"], "it answers")


def new_model(number: int, **more: Any) -> NewModel:
    values: dict[str, Any] = {
        "control": "class",
        "arch": "small",
        "file": f"{number}.safetensors",
        "fingerprint": f"{number:064x}",
        "classes": ("bar", "disc"),
        "images": 8,
        "validation_images": 2,
        "accuracy": 0.75,
        "previous_version": "squeezenet1_1-0123456789",
        "previous_accuracy": None,
    }
    return NewModel(**values | more)


class Scene:
    """A database, and settings whose weights file nobody reads."""

    def __init__(self, database: Database, folder: Path) -> None:
        weights = folder / "weights.pth"
        weights.write_bytes(b"weights")
        self.settings = Settings(model_weights=str(weights), data_dir=folder)
        self.database = database
        self.trainings = TrainingStorage(database)
        self.registry = ModelRegistry(self.settings, database)
        ProjectStorage(database).save_label_config(UID, "<View/>")

    def trained(self, number: int, *, use: bool = True) -> Model:
        """A training that ends with a model."""
        training, is_new = self.trainings.ask(UID, Wishes())
        assert is_new
        assert self.trainings.succeed(training.id, new_model(number), OUTCOME, use=use)
        return self.registry.every()[0]

    @property
    def current(self) -> Model:
        return self.registry.current()


@pytest.fixture
def scene(any_database: Database, tmp_path: Path) -> Scene:
    return Scene(any_database, tmp_path)


@pytest.fixture
def on_sqlite(database: Database, tmp_path: Path) -> Scene:
    return Scene(database, tmp_path)


def test_the_migrations_lead_to_the_tables_that_the_code_uses(any_database: Database) -> None:
    with any_database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
    assert [each for each in found if "trainings" in str(each) or "models" in str(each)] == []


def test_without_a_trained_model_that_of_the_settings_answers(scene: Scene) -> None:
    assert scene.current == Model(scene.settings.model_version(), *scene.settings.model())
    assert scene.registry.every() == [scene.current]
    assert scene.registry.state(scene.current) == "current"


def test_a_model_that_is_to_be_used_answers_at_once_everywhere(scene: Scene) -> None:
    elsewhere = ModelRegistry(scene.settings, scene.database)
    assert elsewhere.current().trained is None
    model = scene.trained(1)
    assert elsewhere.current() == model
    assert model.version.startswith("small-")
    assert model.weights == str(scene.settings.models_folder / "1.safetensors")


def test_a_model_that_is_not_to_be_used_waits_as_a_candidate(scene: Scene) -> None:
    model = scene.trained(1, use=False)
    assert scene.current.trained is None
    assert scene.registry.state(model) == "candidate"
    assert scene.registry.use(model.version) == model
    assert scene.current == model


def test_going_back_takes_the_model_before_each_time(scene: Scene) -> None:
    own = scene.current
    first, second = scene.trained(1), scene.trained(2)
    scene.registry.use(first.version)
    assert [scene.registry.back() for _ in range(3)] == [second, first, own]
    assert scene.registry.state(second) == "retired"
    with pytest.raises(UnknownModel, match="was the first"):
        scene.registry.back()
    assert scene.current == own


def test_the_model_of_the_settings_can_be_chosen_again_and_undone(scene: Scene) -> None:
    own, trained = scene.current, scene.trained(1)
    assert scene.registry.use(own.version) == own
    assert scene.current == own
    assert scene.registry.state(trained) == "retired"
    assert scene.registry.back() == trained


def test_choosing_what_answers_already_adds_nothing_to_go_back_to(scene: Scene) -> None:
    own, trained = scene.current, scene.trained(1)
    scene.registry.use(trained.version)
    assert scene.registry.back() == own


def test_a_version_that_nobody_knows_is_refused_with_those_that_there_are(scene: Scene) -> None:
    trained = scene.trained(1)
    with pytest.raises(UnknownModel) as caught:
        scene.registry.use("vgg19-0123456789")
    assert "'vgg19-0123456789'" in str(caught.value)
    assert trained.version in str(caught.value)
    assert scene.current == trained


def test_a_training_that_ended_is_not_ended_again(scene: Scene) -> None:
    """Two workers may do the same, where one was thought dead."""
    training, _ = scene.trainings.ask(UID, Wishes())
    assert scene.trainings.succeed(training.id, new_model(1), OUTCOME, use=True)
    assert not scene.trainings.succeed(training.id, new_model(2), OUTCOME, use=True)
    scene.trainings.fail(training.id, "too late")
    assert len(scene.trainings.models()) == 1
    found = scene.trainings.training(training.id)
    assert found is not None
    assert (found.status, found.outcome) == ("done", OUTCOME)


def test_a_project_has_one_training_at_a_time(scene: Scene) -> None:
    first, is_new = scene.trainings.ask(UID, Wishes(seed=1))
    assert is_new
    again, is_new = scene.trainings.ask(UID, Wishes(seed=2))
    assert (again, is_new) == (first, False)
    scene.trainings.fail(first.id, "no labels")
    another, is_new = scene.trainings.ask(UID, Wishes(seed=2))
    assert is_new
    assert [each.id for each in scene.trainings.latest(5)] == [another.id, first.id]


def test_without_a_database_the_model_that_was_known_last_answers(on_sqlite: Scene) -> None:
    trained = on_sqlite.trained(1)
    assert on_sqlite.current == trained
    with on_sqlite.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE model_choices")
    assert on_sqlite.registry.current_or_last() == trained


def test_to_look_which_model_answers_makes_no_database(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    settings = Settings(model_weights=str(weights), data_dir=tmp_path / "none")
    assert model_that_answers(settings).version == settings.model_version()
    assert not (tmp_path / "none").exists()


# The command


@pytest.fixture
def command(on_sqlite: Scene, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("DATA_DIR", str(on_sqlite.settings.data_dir))
    monkeypatch.setenv("MODEL_WEIGHTS", on_sqlite.settings.model_weights or "")
    return on_sqlite


def test_the_command_lists_what_there_is(
    command: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    worse, better = command.trained(1, use=False), command.trained(2)
    assert main(["models"]) == 0
    newest, older, own = capsys.readouterr().out.splitlines()
    assert newest.startswith(f"{better.version}  current")
    assert "75.0% of 2 validation images right" in newest
    assert "bar, disc" in newest
    assert older.startswith(f"{worse.version}  candidate")
    assert own.startswith(f"{command.settings.model_version()}  retired")


def test_the_command_takes_another_and_goes_back(
    command: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    model = command.trained(1, use=False)
    assert main(["models", "use", model.version]) == 0
    assert command.current == model
    assert main(["models", "back"]) == 0
    assert command.current.trained is None
    assert main(["models", "back"]) != 0
    assert main(["models", "use", "unknown"]) != 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "'unknown'" in said[1]
