import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from label_studio_fake import CONFIG, TOKEN, UID, LabelStudioFake, label_studio_fake
from learning_data import BASE, LIMIT, lesson, teach
from numpy.typing import NDArray
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from test_suggestions_detection_job import PNG, QuickWorker
from waiting_rows import queued

from backend.database.connection import Database
from backend.labelstudio.images import Images
from backend.labelstudio.projects import LabelStudios, ProjectStorage
from backend.learning import learn_job
from backend.learning.backbones import Backbone, Backbones, BackboneUnusable
from backend.learning.named_points import NamedPoints
from backend.learning.queue import enqueue_examples, make_learning_queue
from backend.learning.records import Example
from backend.learning.step_storage import StepStorage
from backend.learning.storage import ExampleStorage
from backend.queue.interruption import Interrupted, JobFailed, interrupt, reset_interrupt
from backend.retries import MOST_DETECTION_ATTEMPTS
from backend.settings import Settings
from model.keypoint import Box, Detection
from model.naming.features import ExampleFeatures
from model.naming.frame import frame_of
from model.naming.object_box import object_box
from model.networks import SMALL, Classifier, build_network

IMAGE = "/data/upload/3/image-1.png"


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    half = (0.5, 0.5, 0.5)
    return Classifier(build_network(SMALL, 2), SMALL, ("bus", "van"), 32, half, half)


class Scene:
    """A worker with a Label Studio that learns what the test teaches."""

    def __init__(
        self, fake: LabelStudioFake, database: Database, queue: Queue, classifier: Classifier
    ) -> None:
        self.fake, self.database = fake, database
        self.looked_at: list[Box] = []
        self.queue = make_learning_queue(queue.connection)
        ProjectStorage(database).save_label_config(UID, CONFIG)
        self.settings = Settings(label_studio_url=fake.url, label_studio_api_key=TOKEN)
        self.examples = ExampleStorage(database, limit=LIMIT)
        self.steps = StepStorage(database, limit=LIMIT)
        self.backbone = Backbones().of(BASE, classifier)
        self.context = learn_job.LearningContext(
            self.settings,
            self.examples,
            self.steps,
            ProjectStorage(database),
            Images(self.settings, LabelStudios(self.settings)),
            NamedPoints(self.settings, database),
            lambda _: self.backbone,
            self.look,
        )
        learn_job.set_learning_context(self.context)
        reset_interrupt()

    def look(self, project_uid: str, picture: NDArray[np.uint8], box: Box | None) -> Detection:
        """The detector of this worker: it looks where it is told, or at the right half."""
        assert project_uid == UID
        height, width = picture.shape[:2]
        part = box or Box(width / 2, 0, width / 2, height)
        self.looked_at.append(part)
        return Detection("van", 0.9, (), width, height, part)

    def change(self, **values: Any) -> None:
        """Change the context of the jobs."""
        self.context = replace(self.context, **values)
        learn_job.set_learning_context(self.context)

    def teach(self, task: int, image: bytes = PNG, **values: Any) -> None:
        self.fake.add_task(task, image)
        teach(self.database, task, lesson(task, **values), uid=UID)

    def row(self, number: int = 1) -> Example:
        found = self.examples.example(number)
        assert found is not None
        return found

    def work(self) -> None:
        """Queue what waits, and let a worker of RQ do it."""
        enqueue_examples(self.queue, self.settings, self.database)
        worker: SimpleWorker = QuickWorker(
            [self.queue], connection=self.queue.connection, serializer=JSONSerializer
        )
        worker.work(burst=True, logging_level="WARNING")


@pytest.fixture
def scene(database: Database, queue: Queue, classifier: Classifier) -> Iterator[Scene]:
    with label_studio_fake() as fake:
        yield Scene(fake, database, queue, classifier)
    learn_job.set_learning_context(None)


def test_corrected_images_become_a_step_with_the_features_of_their_pictures(scene: Scene) -> None:
    for task in (1, 2, 3):
        scene.teach(task)
    scene.work()
    step = scene.steps.current(UID, BASE)
    assert step is not None
    assert (step.images, step.key) == (3, scene.backbone.extractor.key)
    members = scene.steps.members(step)
    assert [each.example.task_id for each in members] == [1, 2, 3]
    for each in members:
        seen = each.described.close
        assert ExampleFeatures.from_bytes(seen).to_bytes() == seen


def test_running_a_job_twice_changes_nothing(scene: Scene) -> None:
    scene.teach(1)
    learn_job.learn(1)
    before = scene.row()
    learn_job.learn(1)
    assert scene.row() == before
    assert len(scene.fake.asked("GET", IMAGE)) == 1


def test_the_job_of_a_forgotten_example_does_nothing(scene: Scene) -> None:
    scene.teach(1)
    teach(scene.database, 1, uid=UID)
    learn_job.learn(1)
    assert scene.fake.asked("GET", IMAGE) == []


def test_an_image_that_is_gone_fails_with_its_reason_and_harms_no_other(scene: Scene) -> None:
    scene.teach(1)
    del scene.fake.files[IMAGE]
    scene.teach(2)
    scene.work()
    assert scene.row(1).status == "failed"
    assert "got status 404" in (scene.row(1).reason or "")
    assert scene.row(2).status == "ready"


def test_an_image_that_cannot_be_fetched_now_is_tried_again(scene: Scene) -> None:
    scene.teach(1)
    scene.fake.unavailable.add(IMAGE)
    for _ in range(12):
        learn_job.learn(1)
    assert (scene.row().status, scene.row().attempts) == ("waiting", 0)
    assert "503" in (scene.row().reason or "")
    assert queued(scene.examples) == []
    scene.fake.unavailable.clear()
    learn_job.learn(1)
    assert scene.row().status == "ready"


def test_another_image_at_the_address_is_not_learnt(scene: Scene) -> None:
    scene.teach(1, width=65)
    with pytest.raises(JobFailed, match="65 × 48 px, as when it was annotated, got 64 × 48"):
        learn_job.learn(1)
    assert scene.row().status == "failed"


def test_a_file_that_is_no_image_is_given_up(scene: Scene) -> None:
    scene.teach(1, image=b"no image")
    with pytest.raises(JobFailed, match="given up"):
        learn_job.learn(1)
    assert scene.row().status == "failed"


def test_a_model_that_cannot_be_loaded_is_waited_for(scene: Scene) -> None:
    def unusable(_: str) -> Backbone:
        raise BackboneUnusable("expected the weights file")

    scene.change(backbone_of=unusable)
    scene.teach(1)
    learn_job.learn(1)
    assert (scene.row().status, scene.row().reason) == ("waiting", "expected the weights file")


def test_an_unexpected_error_is_logged_and_tried_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: str) -> Backbone:
        raise ZeroDivisionError("by nothing")

    scene.change(backbone_of=broken)
    scene.teach(1)
    with pytest.raises(JobFailed, match="ZeroDivisionError: by nothing"):
        learn_job.learn(1)
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert scene.row().status == "waiting"


def test_an_interrupted_job_goes_back_without_using_up_an_attempt(scene: Scene) -> None:
    def stopping(_: str) -> Backbone:
        interrupt()
        raise AssertionError("interrupted before")

    scene.change(backbone_of=stopping)
    scene.teach(1)
    with pytest.raises(Interrupted):
        learn_job.learn(1)
    assert (scene.row().status, scene.row().attempts) == ("waiting", 0)


def test_an_example_during_which_workers_die_is_given_up(scene: Scene) -> None:
    scene.teach(1)
    for _ in range(MOST_DETECTION_ATTEMPTS):
        scene.examples.start_attempt(1)
    with pytest.raises(JobFailed, match="the worker ended"):
        learn_job.learn(1)
    assert scene.row().status == "failed"


def test_a_job_that_redis_lost_is_queued_again(scene: Scene) -> None:
    scene.teach(1)
    assert enqueue_examples(scene.queue, scene.settings, scene.database) == 1
    assert enqueue_examples(scene.queue, scene.settings, scene.database) == 0
    scene.queue.connection.flushall()
    assert enqueue_examples(scene.queue, scene.settings, scene.database) == 1


def test_an_example_that_no_prediction_describes_is_completed_by_the_image(scene: Scene) -> None:
    """The editor had a copy of half the size; class and part are the detector's."""
    drawn = {"width": 32.0, "height": 24.0, "class_name": "", "drawn": "digest"}
    scene.teach(1, points={"nose": (9.5, 4.5)}, **drawn)
    scene.work()
    row = scene.row()
    assert (row.status, row.width, row.height, row.class_name) == ("ready", 64, 48, "van")
    assert row.box == Box(32, 0, 32, 48)
    assert row.points == {"nose": (19.5, 9.5)}
    # What was drawn is the same: nothing is looked at again.
    scene.teach(1, points={"nose": (9.5, 4.5)}, **drawn)
    assert scene.row() == row
    # Another backbone looks at the same part.
    scene.examples.extract_again(UID)
    scene.work()
    assert scene.looked_at == [Box(32, 0, 32, 48)] * 2
    assert scene.row().points == {"nose": (19.5, 9.5)}


def test_a_corrected_drawing_is_completed_again(scene: Scene) -> None:
    drawn = {"width": 32.0, "height": 24.0, "class_name": "", "drawn": "digest"}
    scene.teach(1, points={"nose": (9.5, 4.5)}, **drawn)
    scene.work()
    scene.teach(1, points={"nose": (10.5, 4.5)}, **(drawn | {"drawn": "another"}))
    assert scene.row().status == "waiting"
    scene.work()
    assert scene.row().points == {"nose": (21.5, 9.5)}


def test_a_drawing_on_an_image_that_the_detector_refuses_is_given_up(scene: Scene) -> None:
    def refusing(*_: object) -> Detection:
        raise ValueError("expected an image of at least 8 px a side")

    scene.change(look=refusing)
    scene.teach(1, class_name="", drawn="digest")
    with pytest.raises(JobFailed, match=r"at least 8 px a side .given up"):
        learn_job.learn(1)
    assert scene.row().status == "failed"


def test_an_object_without_a_rectangle_is_looked_at_twice(scene: Scene) -> None:
    """The fourth where the current step finds it, the others around their points."""
    two = {"nose": (10.0, 20.0), "tail": (40.0, 30.0)}
    for task in (1, 2, 3):
        scene.teach(task, points=two, absent=())
    scene.work()
    scene.teach(4, points=two, absent=())
    scene.teach(5, points=two, absent=(), object=0, box=Box(5, 5, 50, 40))
    scene.work()
    step = scene.steps.current(UID, BASE)
    assert step is not None and step.images == 5
    *found, boxed = [each.described for each in scene.steps.members(step)]
    assert boxed.whole is None
    wholes = [ExampleFeatures.from_bytes(each.whole or b"") for each in found]
    assert {each.frame for each in wholes} == {frame_of(None, 64, 48)}
    closes = [ExampleFeatures.from_bytes(each.close).frame for each in found]
    around = frame_of(object_box([*two.values()]), 64, 48)
    assert closes[:3] == [around] * 3
    assert closes[3].boxed
