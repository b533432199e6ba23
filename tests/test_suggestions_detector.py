"""A worker's detector, and predictions that were requested before another model became active."""

from pathlib import Path
from typing import Any

import pytest
from label_studio_fake import CONFIG, UID, LabelStudioFake, label_studio_fake
from small_weights import save_small_network
from test_suggestions_detection_job import PNG
from test_training_registry import OUTCOME, new_model
from training_scene import settings_for

from backend.database.connection import Database, now
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import LabelStudios, ProjectStorage
from backend.suggestions import detection_job
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.detector import ActiveDetector, ModelUnusable
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
        self.detector = ActiveDetector(self.settings, self.registry)
        ProjectStorage(database).save_label_config(UID, CONFIG)
        studios = LabelStudios(self.settings)
        service = DeliveryService(self.settings, database, studios)
        detection_job.set_job_context(
            detection_job.JobContext(self.settings, database, studios, service, self.detector)
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
        return self.registry.active()

    def ask(self, version: str, **more: Any) -> Prediction:
        wanted = wanted_of(self.fake.add_task(1, PNG), keypoint_control(CONFIG))
        assert wanted is not None
        [row] = PredictionStorage(self.database).request(
            UID, version, [wanted], retry_failed_before=now(), **more
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
    first = scene.detector.get()
    assert first.version == scene.registry.of_settings.version
    assert scene.detector.get() is first
    trained = scene.train(1)
    second = scene.detector.get()
    assert second.version == trained.version
    assert second.detector.classifier.classes == ("bar", "disc")
    scene.registry.activate_previous()
    assert scene.detector.get().version == first.version


def test_weights_that_are_missing_here_are_reported_with_what_to_do(scene: Scene) -> None:
    model = scene.train(1)
    Path(model.weights).unlink()
    with pytest.raises(ModelUnusable) as caught:
        scene.detector.get()
    assert model.weights in str(caught.value)
    assert "MODELS_DIR" in str(caught.value)
    assert "models back" in str(caught.value)


def test_a_worker_takes_up_a_new_model_with_the_next_job(scene: Scene) -> None:
    old = scene.ask(scene.registry.active().version)
    detection_job.predict(old.id)
    trained = scene.train(1)
    detection_job.predict(scene.ask(trained.version).id)
    versions = [each["model_version"] for each in scene.fake.of_task(1)]
    assert versions == [old.model_version, trained.version]
    detection = scene.rows()[trained.version].detection
    assert detection is not None
    assert detection.class_name in ("bar", "disc")


def test_what_was_asked_of_the_model_before_is_made_by_the_active_one(scene: Scene) -> None:
    old = scene.ask(scene.registry.active().version)
    trained = scene.train(1)
    detection_job.predict(old.id)
    rows = scene.rows()
    assert rows[old.model_version].status == "failed"
    assert f"model {trained.version} is the active model now" in (
        rows[old.model_version].reason or ""
    )
    assert (rows[trained.version].status, rows[trained.version].to_deliver) == ("queued", True)
    assert PredictionStorage(scene.database).queued(0, 10) == [(rows[trained.version].id, 1)]
    detection_job.predict(rows[trained.version].id)
    assert [each["model_version"] for each in scene.fake.of_task(1)] == [trained.version]


def test_what_is_not_to_be_delivered_is_not_by_the_next_model_either(scene: Scene) -> None:
    old = scene.ask(scene.registry.active().version, to_deliver=False)
    trained = scene.train(1)
    detection_job.predict(old.id)
    assert not scene.rows()[trained.version].to_deliver


def test_after_going_back_the_model_before_is_asked_again(scene: Scene) -> None:
    own = scene.registry.active().version
    old = scene.ask(own)
    scene.train(1)
    detection_job.predict(old.id)
    scene.registry.activate_previous()
    assert scene.ask(own).status == "queued"
    detection_job.predict(old.id)
    assert [each["model_version"] for each in scene.fake.of_task(1)] == [own]


def test_an_unknown_version_has_no_successor(scene: Scene) -> None:
    trained = scene.train(1)
    assert scene.detector.successor_of("vgg19-0123456789") is None
    assert scene.detector.successor_of(trained.version) is None
    assert scene.detector.successor_of(scene.registry.of_settings.version) == trained.version
