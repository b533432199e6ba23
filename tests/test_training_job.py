"""The RQ job of a training, stopped by a timeout, by a signal and by a process that dies."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from label_studio_fake import TOKEN, UID, LabelStudioFake, label_studio_fake
from redis import Redis
from rq.serializers import JSONSerializer
from test_suggestions_detection_job import QuickWorker
from training_scene import add_shapes, request_training, save_random, settings_for

from backend.database.connection import Database
from backend.queue.interruption import Interrupted, JobFailed, interrupt, reset_interrupt
from backend.retries import MOST_TRAINING_ATTEMPTS
from backend.training import job
from backend.training.queue import enqueue_training, make_training_queue
from backend.training.records import Progress, Training
from backend.training.storage import ModelStorage, TrainingStorage


class Scene:
    """A requested training, and the environment of a trainer."""

    def __init__(
        self,
        fake: LabelStudioFake,
        database: Database,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.fake = fake
        weights = save_random(folder / "first.safetensors", ("bus", "van"))
        self.settings = settings_for(fake, folder, weights, training_timeout=1)
        self.trainings = TrainingStorage(database)
        self.models = ModelStorage(database)
        self.number = request_training(database).id
        for name, value in {
            "DATA_DIR": str(folder),
            "MODEL_WEIGHTS": str(weights),
            "LABEL_STUDIO_URL": fake.url,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "TRAINING_TIMEOUT": "1",
            "OMP_NUM_THREADS": "1",
        }.items():
            monkeypatch.setenv(name, value)

    @property
    def training(self) -> Training:
        found = self.trainings.training(self.number)
        assert found is not None
        return found


@pytest.fixture
def scene(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    reset_interrupt()
    with label_studio_fake() as fake:
        add_shapes(fake, 8)
        yield Scene(fake, database, tmp_path, monkeypatch)
    reset_interrupt()


def test_a_job_trains_in_a_process_of_its_own(scene: Scene) -> None:
    job.train(scene.number)
    assert (scene.training.status, scene.training.reason) == ("done", None)
    [model] = scene.models.models()
    assert model.project_uid == UID
    job.train(scene.number)
    assert scene.models.models() == [model], "run twice it changes nothing"


def test_a_training_that_takes_too_long_is_given_up(
    scene: Scene, redis_connection: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    queue = make_training_queue(redis_connection)
    enqueue_training(queue, scene.settings, scene.training)
    QuickWorker([queue], connection=redis_connection, serializer=JSONSerializer).work(
        burst=True, logging_level="CRITICAL"
    )
    assert scene.training.status == "failed"
    assert "TRAINING_TIMEOUT=1 s" in (scene.training.reason or "")


def test_a_process_that_dies_leaves_the_training_to_the_next_round(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    job.train(scene.number)
    assert (scene.training.status, scene.training.attempts) == ("queued", 1)
    assert "ended with status 1; it is resumed soon" in caplog.text


def test_a_process_that_dies_again_and_again_is_not_started_any_more(scene: Scene) -> None:
    for _ in range(MOST_TRAINING_ATTEMPTS):
        scene.trainings.begin(scene.number)
    with pytest.raises(JobFailed, match="memory"):
        job.train(scene.number)
    assert scene.training.status == "failed"


def test_getting_on_counts_as_a_fresh_start(scene: Scene) -> None:
    for _ in range(MOST_TRAINING_ATTEMPTS):
        scene.trainings.begin(scene.number)
    scene.trainings.record_progress(scene.number, Progress("fetching images", 1, 2))
    assert scene.training.attempts == MOST_TRAINING_ATTEMPTS
    scene.trainings.record_progress(scene.number, Progress("training", 1, 20), resumable=True)
    assert scene.training.attempts == 0


def test_a_trainer_that_has_to_stop_leaves_the_training_unchanged(scene: Scene) -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: interrupt())
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(Interrupted):
        job.train(scene.number)
    signal.signal(signal.SIGALRM, before)
    assert (scene.training.status, scene.training.attempts) == ("queued", 0)
    with pytest.raises(Interrupted):
        job.train(scene.number)
    assert (scene.training.status, scene.training.attempts) == ("queued", 0)
