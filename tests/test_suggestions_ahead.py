import logging
from collections.abc import Iterator

import pytest
from label_studio_fake import CONFIG, TOKEN, UID, LabelStudioFake, label_studio_fake
from learning_data import BASE, learn
from redis.exceptions import RedisError
from rq import Queue
from test_suggestions_detection_job import PNG

from backend.database.connection import Database
from backend.labelstudio.projects import LabelStudios, ProjectStorage
from backend.learning.step_storage import StepStorage
from backend.settings import Settings
from backend.suggestions import ahead
from backend.suggestions.ahead import NextTasks
from backend.suggestions.holdout import is_in_holdout
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage


class Scene:
    """A project with tasks, that has learnt from the first three of them."""

    def __init__(self, fake: LabelStudioFake, database: Database, queue: Queue) -> None:
        self.fake, self.database, self.queue = fake, database, queue
        ProjectStorage(database).save_label_config(UID, CONFIG)
        for task in range(1, 8):
            fake.add_task(task, PNG)
        for task in (1, 2, 3):
            fake.annotate(task, "bus")
        self.settings = Settings(label_studio_url=fake.url, label_studio_api_key=TOKEN)
        self.steps = StepStorage(database, limit=self.settings.learn_examples)
        learn(database, 1, 2, 3, uid=UID)

    @property
    def version(self) -> str:
        return self.steps.version(UID, BASE)

    def next_tasks(self, settings: Settings | None = None, base: str = BASE) -> NextTasks:
        settings = settings or self.settings
        studios = LabelStudios(settings)

        def version_of(uid: str) -> str:
            return self.steps.version(uid, base)

        return NextTasks(settings, self.database, studios, self.queue, version_of)

    def rows(self, task: int) -> list[Prediction]:
        return PredictionStorage(self.database).of_task(task)


@pytest.fixture
def scene(database: Database, queue: Queue) -> Iterator[Scene]:
    with label_studio_fake() as fake:
        yield Scene(fake, database, queue)


def test_the_next_tasks_without_annotation_are_requested_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "NEXT_TASKS", 3)
    assert scene.next_tasks().request() == 3
    assert scene.queue.count == 3
    for task in (4, 5, 6):
        [row] = scene.rows(task)
        assert (row.model_version, row.status, row.to_deliver) == (scene.version, "queued", True)
    assert [scene.rows(task) for task in (1, 2, 3, 7)] == [[]] * 4
    assert scene.next_tasks().request() == 0


def test_a_task_that_has_a_prediction_of_the_version_is_left_out(scene: Scene) -> None:
    scene.fake.store(4, {"model_version": scene.version, "result": []})
    scene.fake.store(5, {"model_version": BASE, "result": []})
    assert scene.next_tasks().request() == 3
    assert scene.rows(4) == []
    assert len(scene.rows(5)) == 1


def test_withheld_tasks_are_left_out(scene: Scene) -> None:
    half = scene.settings.model_copy(update={"holdout_share": 0.5})
    withheld = {task for task in range(4, 8) if is_in_holdout(0.5, UID, task)}
    assert scene.next_tasks(half).request() == 4 - len(withheld)
    assert {task for task in range(4, 8) if scene.rows(task)} == set(range(4, 8)) - withheld


def test_a_label_studio_that_is_down_is_asked_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.fake.down = True
    assert scene.next_tasks().request() == 0
    assert "next tasks cannot be listed" in caplog.text
    scene.fake.down = False
    assert scene.next_tasks().request() == 4


def test_one_that_refuses_the_token_is_not(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    scene.fake.refuses = True
    assert scene.next_tasks().request() == 0
    scene.fake.refuses = False
    assert scene.next_tasks().request() == 0
    assert len(caplog.messages) == 1


def test_a_project_whose_label_studio_is_unknown_is_left_alone(scene: Scene) -> None:
    assert scene.next_tasks(Settings()).request() == 0
    assert scene.steps.unrequested() == []


def test_a_step_of_a_model_that_is_no_longer_active_is_skipped(scene: Scene) -> None:
    assert scene.next_tasks(base="another-model").request() == 0
    assert scene.steps.unrequested() == []


def test_what_redis_did_not_take_waits_in_the_database(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise RedisError("connection lost")

    monkeypatch.setattr(ahead, "enqueue", lost)
    with pytest.raises(RedisError):
        scene.next_tasks().request()
    assert [row.status for task in (4, 5, 6, 7) for row in scene.rows(task)] == ["queued"] * 4
