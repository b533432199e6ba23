"""The image of the next prediction, made ready ahead; with a real Redis and real HTTP."""

import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import wait_until
from label_studio_fake import CONFIG, TOKEN, UID, LabelStudioFake, label_studio_fake
from PIL import Image
from redis import Redis
from rq import Queue

from backend.database.connection import Database, now
from backend.labelstudio.images import ImageFetchError, Images
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import LabelStudios, Project, ProjectStorage
from backend.settings import Settings
from backend.suggestions import next_image
from backend.suggestions.next_image import NextImages
from backend.suggestions.queue import job_id
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of


def drawn(number: int) -> bytes:
    """An image file whose pixels all have the value of its number."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8), number).save(buffer, "PNG")
    return buffer.getvalue()


class Scene:
    """Predictions that wait in a queue, and a Label Studio that has their images."""

    def __init__(self, fake: LabelStudioFake, database: Database, queue: Queue) -> None:
        self.fake, self.queue = fake, queue
        settings = Settings(label_studio_url=fake.url, label_studio_api_key=TOKEN)  # type: ignore[arg-type]
        self.predictions, projects = PredictionStorage(database), ProjectStorage(database)
        projects.save_label_config(UID, CONFIG)
        found = projects.project(UID)
        assert found is not None
        self.project: Project = found
        images = Images(settings, LabelStudios(settings))
        self.images = NextImages(images, self.predictions, projects, queue)
        self.other_worker = NextImages(images, self.predictions, projects, queue)

    def ask(self, number: int) -> Prediction:
        wanted = wanted_of(self.fake.add_task(number, drawn(number)), keypoint_control(CONFIG))
        assert wanted is not None
        [row] = self.predictions.request(UID, "v", [wanted], retry_failed_before=now())
        self.queue.enqueue("time.monotonic", job_id=job_id(row.id, row.round))
        return row

    def number(self, row: Prediction, images: NextImages | None = None) -> int:
        """Number of the image that a worker gets for a prediction."""
        return int((images or self.images).picture(self.project, row).mean())

    def take(self) -> None:
        """Take the first job, as a worker does before it runs it."""
        assert self.queue.pop_job_id()

    def work_on(self, *rows: Prediction) -> None:
        """Take the jobs of predictions as a worker does, one after the other at once."""
        for row in rows:
            self.images.put_first()
            self.take()
            self.number(row)

    def ahead(self) -> Any:
        """The pixels that are ready ahead; None until they are."""
        return next((each._picture for each in self.images._ahead.values()), None)

    def fetched(self, number: int) -> int:
        return len(self.fake.asked("GET", f"/data/upload/3/image-{number}.png"))


@pytest.fixture
def scene(database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(next_image, "WORTH_SECONDS", 0.0)
    with label_studio_fake() as fake:
        yield Scene(fake, database, queue)


def test_the_next_image_is_fetched_and_decoded_while_one_is_detected(scene: Scene) -> None:
    first, second = scene.ask(1), scene.ask(2)
    scene.take()
    assert scene.number(first) == 1
    wait_until(lambda: scene.ahead() is not None)
    assert scene.number(second) == 2
    assert (scene.fetched(1), scene.fetched(2)) == (1, 1)


def test_two_workers_fetch_different_images_and_take_their_own(scene: Scene) -> None:
    rows = [scene.ask(number) for number in (1, 2, 3, 4)]
    scene.take()
    scene.take()
    scene.number(rows[0])
    scene.number(rows[1], scene.other_worker)
    wait_until(lambda: scene.fetched(3) == scene.fetched(4) == 1)
    scene.other_worker.put_first()
    assert scene.queue.pop_job_id() == job_id(rows[3].id, 1)
    assert scene.number(rows[3], scene.other_worker) == 4
    assert [scene.fetched(number) for number in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_an_image_whose_job_another_worker_took_makes_room(scene: Scene) -> None:
    rows = [scene.ask(number) for number in (1, 2, 3)]
    scene.take()
    scene.number(rows[0])
    scene.take()  # the other worker
    scene.images.put_first()
    scene.take()
    assert scene.number(rows[2]) == 3


def test_a_failure_is_that_of_the_job_that_needs_the_image(scene: Scene) -> None:
    first, second = scene.ask(1), scene.ask(2)
    scene.take()
    scene.fake.files.pop("/data/upload/3/image-2.png")
    scene.number(first)
    with pytest.raises(ImageFetchError, match="404"):
        scene.number(second)
    assert scene.fetched(2) == 1


def test_what_comes_at_once_is_not_fetched_ahead(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_image, "WORTH_SECONDS", 60.0)
    first = scene.ask(1)
    scene.ask(2)
    scene.take()
    scene.number(first)
    assert scene.fetched(2) == 0
    assert not scene.queue.connection.keys("prelabelling:chosen:*")


def test_without_redis_nothing_is_fetched_ahead(scene: Scene, database: Database) -> None:
    nowhere = Queue("predictions", connection=Redis(port=1, socket_connect_timeout=1, retry=None))
    images = NextImages(scene.images._images, scene.predictions, ProjectStorage(database), nowhere)
    assert scene.number(scene.ask(1), images) == 1
    images.put_first()


def test_an_image_that_is_no_longer_needed_is_not_fetched(scene: Scene) -> None:
    first, second = scene.ask(1), scene.ask(2)
    scene.predictions.fail(second.id, "given up")
    scene.take()
    scene.number(first)
    assert scene.number(second) == 2
    assert scene.fetched(2) == 1


def test_several_images_are_fetched_ahead_where_they_take_longer_than_a_job(scene: Scene) -> None:
    rows = [scene.ask(number) for number in range(1, 8)]
    scene.fake.image_seconds = 0.2
    scene.work_on(*rows[:2])  # the second job begins at once: jobs take far less than images
    wait_until(lambda: all(scene.fetched(number) == 1 for number in (3, 4, 5, 6)))
    assert len(scene.images._ahead) == next_image.MOST_AHEAD
    assert scene.fetched(7) == 0


def test_one_image_is_fetched_ahead_where_jobs_take_longer(scene: Scene) -> None:
    rows = [scene.ask(number) for number in (1, 2, 3, 4)]
    for row in rows[:2]:
        scene.work_on(row)
        wait_until(lambda: scene.ahead() is not None)
        time.sleep(0.3)  # the job
    assert len(scene.images._ahead) == 1


def test_large_images_are_not_held_by_the_dozen(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_image, "MOST_BYTES_AHEAD", 2 * 8 * 8 * 3)  # two of these images
    rows = [scene.ask(number) for number in range(1, 6)]
    scene.fake.image_seconds = 0.2
    scene.work_on(*rows[:2])
    assert len(scene.images._ahead) == 2


def test_an_image_that_is_ready_is_taken_before_one_that_hangs(scene: Scene) -> None:
    rows = [scene.ask(number) for number in range(1, 5)]
    scene.fake.image_seconds = 0.2
    scene.work_on(*rows[:2])
    third, fourth = scene.images._ahead.values()
    wait_until(lambda: third.done.is_set() and fourth.done.is_set())
    third.done.clear()  # as if it were still on its way
    scene.images.put_first()
    assert scene.queue.pop_job_id() == fourth.job_id == job_id(rows[3].id, 1)
