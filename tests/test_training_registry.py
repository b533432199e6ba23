"""Which model is active: on both kinds of database, without a network."""

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from label_studio_fake import UID
from migrating import downgrade

from backend.database.connection import Database
from backend.database.schema import metadata
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.training.records import NewModel, Outcome, TrainingOptions
from backend.training.registry import (
    Model,
    ModelRegistry,
    UnknownModel,
    active_model,
    active_versions,
)
from backend.training.storage import ModelStorage, TrainingStorage

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
    """A database, and settings with a weights file that is no network."""

    def __init__(self, database: Database, folder: Path) -> None:
        weights = folder / "weights.pth"
        weights.write_bytes(b"weights")
        self.settings = Settings(model_weights=str(weights), data_dir=folder)
        self.database = database
        self.trainings = TrainingStorage(database)
        self.models = ModelStorage(database)
        self.registry = ModelRegistry(self.settings, database)
        ProjectStorage(database).save_label_config(UID, "<View/>")

    def trained(self, number: int, *, use: bool = True) -> Model:
        """Request a training, end it with a model that has weights files, and return the model."""
        self.write_weights(number)
        training, is_new = self.trainings.request(UID, TrainingOptions())
        assert is_new
        assert self.trainings.succeed(training.id, new_model(number), OUTCOME, use=use)
        return self.registry.all()[0]

    def write_weights(self, number: int) -> None:
        """Write the files of a model, which hold no network."""
        self.settings.models_folder.mkdir(exist_ok=True)
        for path in self.weights_files(number):
            path.write_text("weights")

    def delete_weights(self, *numbers: int) -> None:
        """Delete the files of models."""
        for number in numbers:
            for path in self.weights_files(number):
                path.unlink()

    def weights_files(self, number: int) -> list[Path]:
        """The weights of a model and the JSON beside them."""
        folder = self.settings.models_folder
        return [folder / f"{number}.{suffix}" for suffix in ("safetensors", "json")]

    @property
    def active(self) -> Model:
        """The active model of the project."""
        return self.registry.active(UID)


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
    tables = ("trainings", "models", "model_choices", "projects", "candidates")
    assert [each for each in found if any(name in str(each) for name in tables)] == []


def test_without_a_trained_model_that_of_the_settings_is_active(scene: Scene) -> None:
    assert scene.active == Model(scene.settings.model_version(), *scene.settings.model())
    assert scene.registry.all() == [scene.active]
    assert scene.registry.state(scene.active, UID) == "active"


def test_a_model_that_is_to_be_used_is_active_at_once_everywhere(scene: Scene) -> None:
    elsewhere = ModelRegistry(scene.settings, scene.database)
    assert elsewhere.active(UID).trained is None
    model = scene.trained(1)
    assert elsewhere.active(UID) == model
    assert model.version.startswith("small-")
    assert model.weights == str(scene.settings.models_folder / "1.safetensors")


def test_a_model_that_is_not_to_be_used_waits_as_a_candidate(scene: Scene) -> None:
    model = scene.trained(1, use=False)
    assert scene.active.trained is None
    assert scene.registry.state(model, UID) == "candidate"
    assert scene.registry.activate(model.version, UID) == model
    assert scene.active == model


def test_going_back_takes_the_model_before_each_time(scene: Scene) -> None:
    own = scene.active
    first, second = scene.trained(1), scene.trained(2)
    scene.registry.activate(first.version, UID)
    assert [scene.registry.activate_previous(UID) for _ in range(3)] == [second, first, own]
    assert scene.registry.state(second, UID) == "retired"
    with pytest.raises(UnknownModel, match="none of its own"):
        scene.registry.activate_previous(UID)
    assert scene.active == own


def test_the_model_of_the_settings_can_be_chosen_again_and_undone(scene: Scene) -> None:
    own, trained = scene.active, scene.trained(1)
    assert scene.registry.activate(own.version, UID) == own
    assert scene.active == own
    assert scene.registry.state(trained, UID) == "retired"
    assert scene.registry.activate_previous(UID) == trained


def test_choosing_the_active_model_adds_nothing_to_go_back_to(scene: Scene) -> None:
    own, trained = scene.active, scene.trained(1)
    scene.registry.activate(trained.version, UID)
    assert scene.registry.activate_previous(UID) == own


def test_going_back_passes_over_models_whose_weights_are_gone(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third, _ = [scene.trained(number) for number in range(1, 5)]
    scene.delete_weights(2, 3)
    assert scene.registry.activate_previous(UID) == first == scene.active
    assert [record.message for record in caplog.records] == [
        f"Passed over {gone.version}: {gone.weights} does not exist" for gone in (third, second)
    ]
    assert scene.registry.activate_previous(UID) == scene.registry.of_settings


def test_going_back_is_refused_where_no_earlier_model_has_weights(scene: Scene) -> None:
    """The deployment's model is below those of a project."""
    scene.registry.activate(scene.trained(1, use=False).version)
    _, last = scene.trained(2), scene.trained(3)
    scene.delete_weights(1, 2)
    with pytest.raises(UnknownModel) as caught:
        scene.registry.activate_previous(UID)
    own = scene.registry.of_settings.version
    assert f"active before {last.version}, but none exist any more" in str(caught.value)
    assert f"activate {last.version}, {own} by its version" in str(caught.value)
    assert scene.active == last
    assert len(scene.models.stack(UID)) == 2
    scene.write_weights(1)
    assert scene.registry.activate_previous(UID) == scene.registry.active()


def test_the_deployment_goes_back_to_the_model_of_the_settings_at_last(scene: Scene) -> None:
    first, second = scene.trained(1, use=False), scene.trained(2, use=False)
    scene.registry.activate(first.version)
    scene.registry.activate(second.version)
    scene.delete_weights(1)
    assert scene.registry.activate_previous() == scene.registry.of_settings
    with pytest.raises(UnknownModel, match="it was the first"):
        scene.registry.activate_previous()


def test_a_model_whose_weights_are_gone_cannot_be_activated(scene: Scene) -> None:
    gone, there = scene.trained(1, use=False), scene.trained(2)
    scene.delete_weights(1)
    with pytest.raises(UnknownModel, match=rf"{gone.weights} does not exist") as caught:
        scene.registry.activate(gone.version, UID)
    assert f"activate {there.version}, " in str(caught.value)
    assert scene.active == there


def test_a_project_does_not_follow_a_deployment_whose_weights_are_gone(scene: Scene) -> None:
    scene.registry.activate(scene.trained(1, use=False).version)
    own = scene.trained(2)
    scene.delete_weights(1)
    with pytest.raises(UnknownModel, match="does not exist"):
        scene.registry.follow_deployment(UID)
    assert scene.active == own


def test_a_model_stays_active_when_its_weights_vanish(scene: Scene) -> None:
    """Another one in its place, unasked, would change the suggestions of a whole project."""
    model = scene.trained(1)
    scene.delete_weights(1)
    assert scene.active == model
    assert not scene.active.has_weights
    assert scene.registry.of_settings.has_weights
    assert Model("1", "small", "IMAGENET1K_V1").has_weights


def test_an_unknown_version_is_refused_with_the_known_ones(scene: Scene) -> None:
    trained = scene.trained(1)
    with pytest.raises(UnknownModel) as caught:
        scene.registry.activate("vgg19-0123456789", UID)
    assert "'vgg19-0123456789'" in str(caught.value)
    assert trained.version in str(caught.value)
    assert scene.active == trained


def test_a_training_that_ended_is_not_ended_again(scene: Scene) -> None:
    """Two workers may run the same training if one of them was believed dead."""
    training, _ = scene.trainings.request(UID, TrainingOptions())
    assert scene.trainings.succeed(training.id, new_model(1), OUTCOME, use=True)
    assert not scene.trainings.succeed(training.id, new_model(2), OUTCOME, use=True)
    scene.trainings.fail(training.id, "too late")
    assert len(scene.models.models()) == 1
    found = scene.trainings.training(training.id)
    assert found is not None
    assert (found.status, found.outcome) == ("done", OUTCOME)


def test_a_project_has_one_training_at_a_time(scene: Scene) -> None:
    first, is_new = scene.trainings.request(UID, TrainingOptions(seed=1))
    assert is_new
    again, is_new = scene.trainings.request(UID, TrainingOptions(seed=2))
    assert (again, is_new) == (first, False)
    scene.trainings.fail(first.id, "no labels")
    another, is_new = scene.trainings.request(UID, TrainingOptions(seed=2))
    assert is_new
    assert [each.id for each in scene.trainings.latest(5)] == [another.id, first.id]


def test_without_a_database_the_last_known_model_of_the_deployment_is_active(
    on_sqlite: Scene,
) -> None:
    trained = on_sqlite.trained(1)
    on_sqlite.registry.activate(trained.version)
    assert on_sqlite.registry.active() == trained
    with on_sqlite.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE model_choices")
    assert on_sqlite.registry.active_or_last_known() == trained


def test_models_chosen_by_earlier_versions_stay_those_of_the_deployment(scene: Scene) -> None:
    """One model was active for all projects then, so that nothing changes for any of them."""
    first = scene.trained(1, use=False)
    scene.registry.activate(first.version)
    downgrade(scene.database, "0004")
    scene.database.migrate()
    assert scene.registry.active() == scene.registry.active(UID) == first
    assert scene.registry.own_models() == {}
    second = scene.trained(2)
    assert scene.active == second
    assert scene.registry.active() == first
    assert scene.registry.activate_previous(UID) == first


OTHER = "4.1795347724"


def test_a_projects_training_leaves_the_other_projects_and_the_deployment_as_they_are(
    scene: Scene,
) -> None:
    own = scene.registry.of_settings
    model = scene.trained(1)
    assert scene.registry.active(UID) == model
    assert scene.registry.active(OTHER) == scene.registry.active() == own
    assert scene.registry.own(OTHER) is None
    assert scene.registry.own_models() == {UID: model}


def test_a_project_without_a_model_of_its_own_uses_the_deployments(scene: Scene) -> None:
    first, second = scene.trained(1), scene.trained(2)
    scene.registry.activate(first.version)
    assert scene.registry.active(OTHER) == first
    assert scene.registry.active(UID) == second
    assert scene.registry.activate_previous() == scene.registry.of_settings
    assert scene.registry.active(OTHER) == scene.registry.of_settings
    with pytest.raises(UnknownModel, match="it was the first"):
        scene.registry.activate_previous()


def test_a_project_can_use_the_model_of_another_one(scene: Scene) -> None:
    model = scene.trained(1)
    ProjectStorage(scene.database).save_label_config(OTHER, "<View/>")
    assert scene.registry.activate(model.version, OTHER) == model
    assert scene.registry.active(OTHER) == model
    assert scene.registry.active() == scene.registry.of_settings


def test_a_project_can_return_to_the_deployments_model_at_once(scene: Scene) -> None:
    scene.trained(1), scene.trained(2)
    assert scene.registry.follow_deployment(UID) == scene.registry.of_settings
    assert scene.registry.own(UID) is None
    with pytest.raises(UnknownModel, match="none of its own"):
        scene.registry.activate_previous(UID)


def name_model(scene: Scene, version: str) -> None:
    settings = ProjectSettings(model=version)
    ProjectStorage(scene.database).save_settings(UID, settings)


def test_the_model_that_a_projects_settings_name_comes_before_all_others(scene: Scene) -> None:
    first, second = scene.trained(1), scene.trained(2)
    name_model(scene, first.version)
    assert scene.active == first
    assert scene.registry.own_models() == {UID: first}
    name_model(scene, "deployment")
    assert scene.active == scene.registry.of_settings
    assert scene.registry.own_models() == {}
    for change in (
        lambda: scene.registry.activate(second.version, UID),
        lambda: scene.registry.activate_previous(UID),
        lambda: scene.registry.follow_deployment(UID),
    ):
        with pytest.raises(UnknownModel, match="change them in Label Studio"):
            change()


def test_settings_that_name_a_model_that_is_gone_change_nothing(scene: Scene) -> None:
    """A version contains the detector's settings, so that it goes when they change."""
    trained = scene.trained(1)
    name_model(scene, "small-fedcba9876")
    assert scene.active == trained
    assert scene.registry.named_by(UID) is None


def test_the_active_versions_are_those_of_the_deployment_and_of_projects(
    on_sqlite: Scene, tmp_path: Path
) -> None:
    own = on_sqlite.registry.of_settings.version
    assert active_versions(on_sqlite.settings) == {own}
    trained = on_sqlite.trained(1)
    assert active_versions(on_sqlite.settings) == {own, trained.version}
    nowhere = on_sqlite.settings.model_copy(update={"data_dir": tmp_path / "none"})
    assert active_versions(nowhere) == {own}


def test_looking_up_the_active_model_creates_no_database(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    settings = Settings(model_weights=str(weights), data_dir=tmp_path / "none")
    assert active_model(settings).version == settings.model_version()
    assert not (tmp_path / "none").exists()
