"""Fetch the images that the report shows, all of them within one time limit."""

import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from backend.database.connection import Database
from backend.labelstudio.images import ImageFetchError, Images
from backend.labelstudio.projects import LabelStudios, NotDeliverable, ProjectStorage
from backend.settings import Settings
from model.decoding import UnreadableImage

SIDE = 520  # px, longer side of a thumbnail
TIME_LIMIT = 8.0  # s for all images together: a report must not wait for Label Studio
THREADS = 4


class WantedImage(NamedTuple):
    """An image of a task."""

    project_uid: str
    task_id: int
    image_url: str


@dataclass(frozen=True, slots=True)
class TaskImage:
    """The thumbnail of a task's image, or None and the reason as the report prints it."""

    thumbnail: Image.Image | None
    problem: str | None = None


class TaskImages:
    """Fetches thumbnails; its time limit starts when it is made.

    Attributes:
        missing: how many could not be fetched.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._projects = ProjectStorage(database)
        self._images = Images(settings, LabelStudios(settings))
        self._deadline = time.monotonic() + TIME_LIMIT
        self.missing = 0

    def fetch(self, images: Iterable[WantedImage]) -> dict[WantedImage, TaskImage]:
        """Return the images of tasks."""
        pool = ThreadPoolExecutor(THREADS)
        waiting = {each: pool.submit(self._task_image, each) for each in dict.fromkeys(images)}
        found = {each: self._in_time(future) for each, future in waiting.items()}
        pool.shutdown(wait=False, cancel_futures=True)
        self.missing += sum(each.thumbnail is None for each in found.values())
        return found

    def _in_time(self, future: "Future[TaskImage]") -> TaskImage:
        try:
            return future.result(max(0.0, self._deadline - time.monotonic()))
        except TimeoutError:
            return TaskImage(None, "The image did not arrive in time.")

    def _task_image(self, wanted: WantedImage) -> TaskImage:
        project = self._projects.project(wanted.project_uid)
        assert project is not None, "its foreign key"
        try:
            picture = self._images.picture(project, wanted.image_url, wanted.task_id)
        except (ImageFetchError, NotDeliverable) as error:
            return TaskImage(None, f"The image cannot be fetched: {error}")
        except (UnreadableImage, MemoryError, OSError) as error:  # the last two of its decoder
            return TaskImage(None, f"The image cannot be read: {error}")
        thumbnail = Image.fromarray(picture)
        thumbnail.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        return TaskImage(thumbnail)
