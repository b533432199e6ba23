"""A worker's detector, and predictions that were requested before another model became active."""

from pathlib import Path
from typing import Any

import pytest
from label_studio_fake import CONFIG, UID, LabelStudioFake, label_studio_fake
from small_weights import save_small_network
from test_suggestions_detection_job import PNG
from test_training_registry import OUTCOME, new_model
from training_scene import settings_for
from waiting_rows import queued

from backend.database.connection import Database, now
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import LabelStudios, ProjectStorage
from backend.suggestions import detection_job
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.detector import ActiveDetectors, ModelUnusable
from backend.suggestions.job_context import JobContext
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from backend.training.records import TrainingOptions
from backend.training.registry import Model, ModelRegistry
from backend.training.storage import TrainingStorage
from model.weights_files import weights_fingerprint


class Scene:
    """A worker with the model of the settings, and trained models as a test needs them."""

    def __init__(self, fake: LabelStudioFake, database: Database, folder: Path) -> None:
        self.fake, self.database = fake, database
        weights = save_small_network(folder / "own.safetensors", ("bus", "van"))
        self.settings = settings_for(fake, folder, weights)
        self.registry = ModelRegistry(self.settings, database)
        self.detectors = ActiveDetectors(self.settings, self.registry)
        ProjectStorage(database).save_label_config(UID, CONFIG)
        studios = LabelStudios(self.settings)
        service = DeliveryService(self.settings, database, studios)
        detection_job.set_job_context(
            JobContext(self.settings, database, studios, service, self.detectors)
        )

    def train(self, number: int) -> Model:
        """Make another model the active one."""
        file = self.settings.models_folder / f"{number}.safetensors"
        fingerprint = weights_fingerprint(
            str(save_small_network(file, ("bar", "disc"), seed=number))
        )
        trainings = TrainingStorage(self.database)
        training, _ = trainings.request(UID, TrainingOptions())
        trainings.succeed(
            training.id, new_model(number, fingerprint=fingerprint), OUTCOME, use=True
        )
        return self.registry.active(UID)

    def ask(self, version: str, uid: str = UID, task: int = 1, **more: Any) -> Prediction:
        wanted = wanted_of(self.fake.add_task(task, PNG), keypoint_control(CONFIG))
        assert wanted is not None
        [row] = PredictionStorage(self.database).request(
            uid, version, [wanted], retry_failed_before=now(), **more
        )
        return row

    def rows(self) -> dict[str, Prediction]:
        return {row.model_version: row for row in PredictionStorage(self.database).of_task(1)}


@pytest.fixture
def scene(database: Database, tmp_path: Path):
    with label_studio_fake() as fake:
        yield Scene(fake, database, tmp_path)
    detection_job.set_job_context(None)


def test_the_detector_stays_loaded_until_another_model_is_active(scene: Scene) -> None:
    first = scene.detectors.get(UID)
    assert first.version == scene.registry.of_settings.version
    assert scene.detectors.get(UID) is first
    trained = scene.train(1)
    second = scene.detectors.get(UID)
    assert second.version == trained.version
    assert second.detector.classifier.classes == ("bar", "disc")
    scene.registry.activate_previous(UID)
    assert scene.detectors.get(UID).version == first.version


def test_each_project_is_detected_by_its_own_model(scene: Scene) -> None:
    trained = scene.train(1)
    assert scene.detectors.get(UID).version == trained.version
    assert scene.detectors.get("4.1").version == scene.registry.of_settings.version
    assert scene.detectors.get().version == scene.registry.of_settings.version


def test_one_worker_serves_two_projects_with_their_own_models(scene: Scene) -> None:
    """The training of the one leaves what was requested for the other as it is."""
    other, own = "4.1795347724", scene.registry.of_settings.version
    ProjectStorage(scene.database).save_label_config(other, CONFIG)
    before = scene.ask(own, uid=other, task=2)
    scene.fake.tasks[2]["project"] = 4
    trained = scene.train(1)
    detection_job.predict(scene.ask(trained.version).id)
    detection_job.predict(before.id)
    assert [each["model_version"] for each in scene.fake.of_task(1)] == [trained.version]
    assert [each["model_version"] for each in scene.fake.of_task(2)] == [own]


def with_memory(scene: Scene, mib: int) -> ActiveDetectors:
    settings = scene.settings.model_copy(update={"model_memory": mib})
    return ActiveDetectors(settings, scene.registry)


def test_the_networks_used_last_stay_loaded_as_far_as_the_memory_allows(scene: Scene) -> None:
    detectors = with_memory(scene, 2)  # of the four networks, three fit
    projects = ("5.1", "6.1", "7.1")
    for number, uid in enumerate(projects, 1):
        scene.registry.activate(scene.train(number).version, uid)
    first = detectors.get()
    weights = Path(scene.registry.of_settings.weights).stat().st_size
    assert first.size <= weights < first.size + 10_000  # the file has a header, too
    assert 3 * first.size <= 2 * 2**20 < 4 * first.size
    second, third = detectors.get("5.1"), detectors.get("6.1")
    assert detectors.get() is first
    assert detectors.get("7.1").version != second.version
    assert (detectors.get("6.1"), detectors.get()) == (third, first)
    again = detectors.get("5.1")
    assert again.version == second.version
    assert again is not second


def test_the_network_in_use_stays_loaded_however_large_it_is(scene: Scene) -> None:
    detectors = with_memory(scene, 0)
    first = detectors.get()
    assert detectors.get() is first
    scene.train(1)
    second = detectors.get(UID)
    assert detectors.get(UID) is second
    assert detectors.get() is not first


def test_weights_that_are_missing_here_are_reported_with_what_to_do(scene: Scene) -> None:
    model = scene.train(1)
    Path(model.weights).unlink()
    with pytest.raises(ModelUnusable) as caught:
        scene.detectors.get(UID)
    assert model.weights in str(caught.value)
    assert "MODELS_DIR" in str(caught.value)
    assert "models back --project 3" in str(caught.value)


def test_a_network_that_is_loaded_stays_in_use_when_its_weights_vanish(scene: Scene) -> None:
    model = scene.train(1)
    loaded = scene.detectors.get(UID)
    Path(model.weights).unlink()
    assert scene.detectors.get(UID) is loaded
    scene.detectors = with_memory(scene, 0)
    with pytest.raises(ModelUnusable):
        scene.detectors.get(UID)
    own = scene.registry.activate_previous(UID)
    assert scene.detectors.get(UID).version == own.version


def test_a_worker_takes_up_a_new_model_with_the_next_job(scene: Scene) -> None:
    old = scene.ask(scene.registry.active(UID).version)
    detection_job.predict(old.id)
    trained = scene.train(1)
    detection_job.predict(scene.ask(trained.version).id)
    versions = [each["model_version"] for each in scene.fake.of_task(1)]
    assert versions == [old.model_version, trained.version]
    detection = scene.rows()[trained.version].detection
    assert detection is not None
    assert detection.class_name in ("bar", "disc")


def test_what_was_asked_of_the_model_before_is_made_by_the_active_one(scene: Scene) -> None:
    old = scene.ask(scene.registry.active(UID).version)
    trained = scene.train(1)
    detection_job.predict(old.id)
    rows = scene.rows()
    assert list(rows) == [trained.version]
    assert (rows[trained.version].id, rows[trained.version].status) == (old.id, "ready")
    assert [each["model_version"] for each in scene.fake.of_task(1)] == [trained.version]


def test_what_the_active_model_was_asked_already_is_made_once(scene: Scene) -> None:
    old = scene.ask(scene.registry.active(UID).version)
    trained = scene.train(1)
    asked = scene.ask(trained.version, to_deliver=False)
    detection_job.predict(old.id)
    rows = scene.rows()
    assert list(rows) == [trained.version]
    row = rows[trained.version]
    assert (row.id, row.status, row.to_deliver) == (asked.id, "queued", True)
    assert queued(PredictionStorage(scene.database)) == [(asked.id, 1)]
    assert PredictionStorage(scene.database).finished([old.id, asked.id]) == {old.id}
    detection_job.predict(old.id)  # a repeated job finds nothing to do
    detection_job.predict(asked.id)
    assert [each["model_version"] for each in scene.fake.of_task(1)] == [trained.version]


def test_what_is_not_to_be_delivered_is_not_by_the_next_model_either(scene: Scene) -> None:
    old = scene.ask(scene.registry.active(UID).version, to_deliver=False)
    trained = scene.train(1)
    detection_job.predict(old.id)
    assert not scene.rows()[trained.version].to_deliver


def test_after_going_back_the_model_before_is_asked_again(scene: Scene) -> None:
    own = scene.registry.active(UID).version
    old = scene.ask(own)
    trained = scene.train(1)
    detection_job.predict(old.id)
    scene.registry.activate_previous(UID)
    again = scene.ask(own)
    assert again.status == "queued"
    detection_job.predict(again.id)
    versions = [each["model_version"] for each in scene.fake.of_task(1)]
    assert versions == [trained.version, own]


def test_a_known_version_that_is_not_active_is_replaced_and_an_unknown_one_is_not(
    scene: Scene,
) -> None:
    trained = scene.train(1)
    assert not scene.detectors.is_replaced("vgg19-0123456789", trained)
    assert not scene.detectors.is_replaced(trained.version, trained)
    assert scene.detectors.is_replaced(scene.registry.of_settings.version, trained)
