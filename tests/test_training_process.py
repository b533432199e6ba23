"""A training from the annotations to the active model, with a small fake Label Studio."""

import base64
import errno
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from label_studio_fake import TOKEN, UID, LabelStudioFake, label_studio_fake
from serving import PLAIN_ENVIRONMENT, ROOT
from small_weights import save_small_network
from training_scene import CONFIG, add_shapes, request_training, settings_for, shape

from backend.database.connection import Database
from backend.retries import Backoff
from backend.training.process import run
from backend.training.records import Training
from backend.training.registry import Model, ModelRegistry
from backend.training.storage import TrainingStorage
from model.networks import load_classifier
from model.settings import version_name
from model.weights_files import weights_fingerprint

pytestmark = pytest.mark.usefixtures("one_thread")


class Scene:
    """A project, and a backend whose only network knows other classes."""

    def __init__(self, fake: LabelStudioFake, database: Database, folder: Path) -> None:
        self.fake, self.database, self.folder = fake, database, folder
        self.use(save_small_network(folder / "first.safetensors", ("bus", "van")))

    def use(self, weights: Path) -> None:
        """Set other weights in the settings."""
        self.settings = settings_for(self.fake, self.folder, weights)

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.settings, self.database)

    def train(self, **options: Any) -> Training:
        """Request a training, run it in this process, and return it as it ended."""
        training = request_training(self.database, **options)
        run(self.settings, self.database, training.id)
        ended = TrainingStorage(self.database).training(training.id)
        assert ended is not None
        return ended

    def model(self) -> Model:
        return self.registry.active(UID)


@pytest.fixture
def scene(database: Database, tmp_path: Path) -> Iterator[Scene]:
    with label_studio_fake() as fake:
        add_shapes(fake, 20)
        yield Scene(fake, database, tmp_path)


def test_submitted_choices_become_the_active_model(scene: Scene) -> None:
    first = scene.model()
    ended = scene.train(epochs=12)
    assert (ended.status, ended.reason) == ("done", None)
    assert ended.outcome is not None
    assert ended.outcome.images == {"disc": 10, "bar": 10}
    assert "does not know all of these classes" in ended.outcome.decision
    model = scene.model()
    assert model.version != first.version
    assert model.trained is not None
    assert model.trained.classes == ("bar", "disc")
    assert (model.trained.images, model.trained.validation_images) == (20, 4)
    assert model.trained.previous_accuracy is None
    assert load_classifier(model.arch, model.weights).classes == ("bar", "disc")


def test_its_version_is_that_of_its_weights_file_and_the_settings(scene: Scene) -> None:
    scene.train()
    model = scene.model()
    detector = scene.settings.detector_settings()
    assert model.version == version_name("small", weights_fingerprint(model.weights), detector)
    moved = scene.settings.model_copy(update={"detector_stride": 8})
    assert ModelRegistry(moved, scene.database).active(UID).version != model.version


def test_its_working_folder_is_removed_and_earlier_weights_stay(scene: Scene) -> None:
    first = scene.model()
    scene.train()
    second = scene.model()
    scene.train(seed=1)
    folder = scene.settings.models_folder
    assert [path.name for path in folder.iterdir() if path.is_dir()] == []
    for model in (first, second, scene.model()):
        load_classifier(model.arch, model.weights)


def test_the_seed_alone_decides_the_weights(scene: Scene) -> None:
    scene.train(init="nothing", arch="small", seed=3)
    first = scene.model()
    scene.train(init="nothing", arch="small", seed=3)
    trained = scene.registry.all()
    assert trained[0].trained != trained[1].trained
    assert trained[0].version == trained[1].version == first.version
    scene.train(init="nothing", arch="small", seed=4)
    assert scene.registry.all()[0].version != first.version


# Which model is active


def test_a_model_that_is_worse_on_the_same_images_does_not_become_active(scene: Scene) -> None:
    scene.train(init="nothing", arch="small", epochs=30)
    good = scene.model()
    assert good.trained is not None
    assert good.trained.accuracy == 1.0
    # Learnt from labels the wrong way round, and checked with those that the good one is right in.
    nonsense = save_small_network(scene.folder / "nonsense.safetensors", ("bar", "disc"), seed=5)
    ended = scene.train(init=str(nonsense), epochs=1)
    assert ended.status == "done"
    candidate = scene.registry.all()[0]
    assert candidate.trained is not None
    assert candidate.trained.previous_version == good.version
    assert candidate.trained.previous_accuracy == 1.0
    assert candidate.trained.accuracy < 1.0
    assert scene.model() == good
    assert scene.registry.state(candidate) == "candidate"
    assert "stays active" in ended.outcome.decision  # type: ignore[union-attr]


def test_a_model_that_is_as_good_on_the_same_images_becomes_active(scene: Scene) -> None:
    random = save_small_network(scene.folder / "random.safetensors", ("bar", "disc"))
    scene.use(random)
    ended = scene.train(init="nothing", arch="small", epochs=30)
    model = scene.model()
    assert model.trained is not None
    assert model.trained.previous_accuracy is not None
    assert model.trained.accuracy >= model.trained.previous_accuracy
    assert "of the same images right" in ended.outcome.decision  # type: ignore[union-attr]


# Labels and images


def test_what_cannot_be_used_is_left_out_and_listed(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    fake = scene.fake
    fake.annotate(1, "bar")  # somebody disagrees
    fake.annotate(2, "disc", was_cancelled=True)  # and somebody has skipped it, which is nothing
    fake.files["/data/upload/3/image-3.png"] = b"this is no image"
    del fake.files["/data/upload/3/image-4.png"]
    fake.files["/data/upload/3/image-5.png"] = shape(6)
    with caplog.at_level(logging.WARNING):
        outcome = scene.train().outcome
    assert outcome is not None
    left_out = dict(outcome.left_out)
    assert set(left_out) == {"task 1", "task 3", "task 4", "task 7"}
    assert left_out["task 1"] == "annotators call it bar and disc"
    assert "expected an image" in left_out["task 3"]
    assert "404" in left_out["task 4"]
    assert left_out["task 7"] == "it is the same image as task 5"
    assert sum(outcome.images.values()) == 16
    assert "left out task 3" in caplog.text
    assert "fewer than 10 images" in outcome.warnings[0]


def test_images_in_the_addresses_need_no_file(scene: Scene) -> None:
    for index, task in enumerate(scene.fake.tasks.values()):
        address = base64.b64encode(shape(index)).decode()
        task["data"]["image"] = f"data:image/png;base64,{address}"
    scene.fake.files.clear()
    assert scene.train().status == "done"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda fake: [task["annotations"].clear() for task in fake.tasks.values()], "got nothing"),
        (lambda fake: [fake.tasks.pop(number) for number in range(1, 20, 2)], "10 bar in 'class'"),
        (lambda fake: [fake.tasks.pop(number) for number in range(3, 20, 2)], "1 disc"),
        (lambda fake: setattr(fake, "config", CONFIG.replace("Choices", "Labels")), "<Choices"),
    ],
    ids=["no labels", "one class", "one image", "no choices"],
)
def test_a_project_that_cannot_be_learnt_from_says_what_it_needs(
    scene: Scene, spoil: Any, reason: str
) -> None:
    first = scene.model()
    spoil(scene.fake)
    ended = scene.train()
    assert ended.status == "failed"
    assert reason in (ended.reason or "")
    assert scene.model() == first
    assert scene.registry.all() == [first]


@pytest.mark.parametrize(
    ("spoil", "mend", "reason"),
    [
        (
            lambda fake: setattr(fake, "refuses", True),
            lambda f: setattr(f, "refuses", False),
            "401",
        ),
        (lambda fake: setattr(fake, "down", True), lambda f: setattr(f, "down", False), "503"),
    ],
    ids=["no access", "down"],
)
def test_a_training_waits_for_a_label_studio_that_is_away(
    scene: Scene, spoil: Any, mend: Any, reason: str
) -> None:
    first = scene.model()
    spoil(scene.fake)
    waiting = scene.train()
    assert (waiting.status, waiting.attempts) == ("queued", -1)  # `train` starts no job
    assert reason in (waiting.reason or "")
    assert waiting.retry_at is not None
    assert scene.model() == first
    mend(scene.fake)
    ended = scene.train()
    assert (ended.id, ended.status, ended.reason) == (waiting.id, "done", None)


def test_a_control_that_is_not_there_is_named_with_those_that_are(scene: Scene) -> None:
    ended = scene.train(control="species")
    assert "'species'" in (ended.reason or "")
    assert "(class)" in (ended.reason or "")


def test_images_that_cannot_be_had_now_are_waited_for_and_the_others_kept(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.retries.TRAINING_IMAGE", Backoff(first=0.0))
    monkeypatch.setattr("backend.retries.FAILURES_UNTIL_AWAY", 100)
    path = "/data/upload/3/image-{}.png"
    scene.fake.unavailable = {path.format(number) for number in (1, 2, 3)}
    waiting = scene.train()
    assert waiting.status == "queued"
    assert "3 cannot be fetched now" in (waiting.reason or "")
    scene.fake.unavailable.clear()
    assert scene.train().status == "done"
    assert len(scene.fake.asked("GET", path.format(9))) == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"arch": "vit_b_16", "init": "nothing"}, "ReLU"),
        ({"arch": "resnet18", "init": "{}/first.safetensors"}, "resnet18 was requested"),
        ({"init": "{}/none.safetensors"}, "found none"),
    ],
    ids=["no ReLU", "another architecture", "missing"],
)
def test_a_start_that_is_not_possible_is_refused(
    scene: Scene, options: dict[str, str], reason: str
) -> None:
    ended = scene.train(**{name: value.format(scene.folder) for name, value in options.items()})
    assert ended.status == "failed"
    assert reason in (ended.reason or "")


# Failures during a training


def test_a_disk_that_is_full_leaves_every_model_whole(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated, because a test cannot fill a disk."""
    scene.train()
    model = scene.model()
    before = Path(model.weights).read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("model.networks.save_file", full)
        ended = scene.train(seed=1)
    assert ended.status == "queued"
    assert "No space left on device" in (ended.reason or "")
    assert scene.model() == model
    assert Path(model.weights).read_bytes() == before
    # What was learnt is still there.
    assert scene.train(seed=1).status == "done"
    assert len(scene.registry.all()) == 3


def test_a_training_starts_from_the_settings_where_the_weights_of_the_active_model_are_gone(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """So a training is a way out, as the messages about missing weights say."""
    scene.train(epochs=1)
    lost = scene.model()
    Path(lost.weights).unlink()
    ended = scene.train(epochs=1)
    assert ended.status == "done"
    assert f"{lost.weights} does not exist, so the training starts from the model" in caplog.text
    assert ended.outcome is not None and "cannot be loaded" in ended.outcome.decision
    assert scene.model() != lost
    assert scene.registry.active(UID) == scene.model()


def test_pretrained_weights_that_cannot_be_had_are_done_without(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(scene.folder))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    scene.settings = scene.settings.model_copy(update={"model_weights": None})
    assert scene.train(epochs=1).status == "done"
    assert scene.model().arch == "small"
    assert "trained from random weights" in caplog.text
    # But not where somebody asked for them.
    ended = scene.train(arch="squeezenet1_1", epochs=1)
    assert ended.status == "failed"
    assert "could not get torchvision's weights" in (ended.reason or "")


def test_a_training_that_is_killed_goes_on_to_the_very_same_weights(scene: Scene) -> None:
    trainings = TrainingStorage(scene.database)
    options = {"init": "nothing", "arch": "small", "epochs": 6}
    training = request_training(scene.database, **options)
    environment = PLAIN_ENVIRONMENT | {
        "LABEL_STUDIO_URL": scene.fake.url,
        "LABEL_STUDIO_API_KEY": TOKEN,
        "DATA_DIR": str(scene.folder),
        "MODEL_WEIGHTS": scene.settings.model_weights or "",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "backend.training.process", str(training.id)]
    with subprocess.Popen(command, env=environment, cwd=ROOT) as process:
        wait_until(lambda: epochs_of(trainings, training) >= 2, seconds=60)
        process.kill()
    killed_at = epochs_of(trainings, training)
    asked = len(scene.fake.asked("GET", "/data/upload/3/image-1.png"))
    subprocess.run(command, env=environment, cwd=ROOT, check=True, timeout=60)
    assert epochs_of(trainings, training) == 0, "it has ended"
    resumed = scene.model()
    assert resumed.trained is not None
    assert resumed.trained.training_id == training.id
    assert killed_at < 6
    assert len(scene.fake.asked("GET", "/data/upload/3/image-1.png")) == asked
    assert scene.train(**options).status == "done"
    assert scene.registry.all()[0].version == resumed.version


def epochs_of(trainings: TrainingStorage, training: Training) -> int:
    found = trainings.training(training.id)
    assert found is not None
    progress = found.progress
    if progress is None or progress.phase != "training":
        return 0
    return progress.done or 0
