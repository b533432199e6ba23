"""A CVAT with a task of drawn images, and a worker that makes its suggestions."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cvat_fake import BEAK, TAIL, TASK, TOKEN, CvatFake, cvat_fake
from PIL import Image
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from small_weights import save_small_network
from waiting_rows import queued

from backend.database.connection import Database
from backend.hosts.cvat_client import Cvat
from backend.hosts.cvat_pull import CvatPull, PullSummary
from backend.hosts.cvat_push import CvatPush, PushSummary
from backend.hosts.cvat_task import CvatTask, load_task
from backend.labelstudio.projects import LabelStudios
from backend.learning import learn_job
from backend.learning.storage import ExampleStorage
from backend.settings import Settings
from backend.suggestions import detection_job
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.detector import ActiveDetectors
from backend.suggestions.job_context import JobContext
from backend.training.registry import ModelRegistry
from backend.verdicts.lesson_storage import LessonStorage
from backend.workers.detection_worker import _learning_context

WIDTH, HEIGHT = 64, 48


def pictures(count: int) -> list[bytes]:
    """PNG files of random pixels, each another one."""
    drawn = np.random.default_rng(0).integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8)
    encoded = []
    for pixels in drawn:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    return encoded


class QuickWorker(SimpleWorker):
    """A worker of RQ without its subscription to commands, which takes a second to end."""

    def subscribe(self) -> None:
        pass


class Scene:
    """A backend beside a CVAT."""

    def __init__(self, fake: CvatFake, settings: Settings, database: Database, queue: Queue):
        self.fake, self.settings, self.database, self.queue = fake, settings, database, queue
        self.cvat = Cvat(fake.url, TOKEN)
        studios = LabelStudios(settings)
        self.context = JobContext(
            settings,
            database,
            studios,
            DeliveryService(settings, database, studios),
            ActiveDetectors(settings, ModelRegistry(settings, database)),
        )
        detection_job.set_job_context(self.context)

    def set(self, **values: Any) -> None:
        """Change settings."""
        settings = Settings(**{**dict(self.settings), **values})
        self.__init__(self.fake, settings, self.database, self.queue)  # type: ignore[misc]

    def task(self, *chosen: str) -> CvatTask:
        return load_task(self.cvat, TASK, chosen)

    def push(self, *chosen: str) -> PushSummary:
        push = CvatPush(self.settings, self.database, self.queue, self.cvat, self.work)
        return push.run(self.task(*chosen))

    def work(self, *_: int) -> None:
        """Let a worker do all that is queued."""
        connection = self.queue.connection
        worker = QuickWorker([self.queue], connection=connection, serializer=JSONSerializer)
        worker.work(burst=True, logging_level="WARNING")

    def pull(self) -> PullSummary:
        return CvatPull(self.settings, self.database, self.cvat).run(self.task())

    def learn(self) -> None:
        """Let a worker learn what the log says."""
        LessonStorage(self.database, limit=self.settings.learn_examples).pass_on()
        examples = ExampleStorage(self.database, limit=self.settings.learn_examples)
        learn_job.set_learning_context(_learning_context(self.context))
        try:
            for example_id, _ in queued(examples):
                learn_job.learn(example_id)
        finally:
            learn_job.set_learning_context(None)

    def correct(self, frame: int) -> None:
        """Leave two of the points on a frame, one with each label, at places of their own."""
        for shape in self.fake.shapes_on(frame)[2:]:
            self.fake.delete(shape["id"])
        beak, tail = self.fake.shapes_on(frame)
        self.fake.relabel(beak["id"], BEAK)
        self.fake.relabel(tail["id"], TAIL)

    def points_on(self, frame: int) -> list[tuple[int, float, float]]:
        """Label, x and y of each single point on a frame, in the order of CVAT."""
        return [(each["label_id"], *each["points"]) for each in self.fake.shapes_on(frame)]


def environment(fake_url: str, folder: Path) -> dict[str, str]:
    """The settings of a small backend, as environment variables."""
    return {
        "CVAT_URL": fake_url,
        "CVAT_ACCESS_TOKEN": TOKEN,
        "DATA_DIR": str(folder),
        "MODEL_WEIGHTS": str(save_small_network(folder / "small.safetensors", ("beak", "tail"))),
        "DETECTOR_INPUT_SIZE": "32",
        "DETECTOR_STRIDE": "16",
        "DETECTOR_MAX_KEYPOINTS": "4",
        "SUGGEST": "always",
    }


@contextmanager
def scene(
    database: Database, queue: Queue, folder: Path, *, frames: int = 3, skeleton: bool = False
) -> Iterator[Scene]:
    torch.set_num_threads(1)
    with cvat_fake(pictures(frames), skeleton=skeleton) as fake:
        given = environment(fake.url, folder)
        settings = Settings(**{name.lower(): value for name, value in given.items()})
        yield Scene(fake, settings, database, queue)
        assert fake.violations == []
    detection_job.set_job_context(None)
