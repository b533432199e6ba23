"""Fetch the images that the report shows, all of them within one time limit."""

import io
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from backend.database.connection import Database
from backend.labelstudio.images import ImageFetchError, fetch
from backend.labelstudio.projects import LabelStudios, NotDeliverable, Project, ProjectStorage
from backend.settings import Settings
from backend.suggestions.records import Prediction

SIDE = 520  # px, longer side of a thumbnail
TIME_LIMIT = 8.0  # s for all images together: a report must not wait for Label Studio
THREADS = 4
# What Pillow raises for files that are no image, damaged or far too large.
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


@dataclass(frozen=True, slots=True)
class TaskImage:
    """The thumbnail of a task's image, or None and the reason as the report prints it."""

    thumbnail: Image.Image | None
    problem: str | None = None


class TaskImages:
    """Fetches thumbnails; its time limit starts when it is made."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._projects = ProjectStorage(database)
        self._studios = LabelStudios(settings)
        self._deadline = time.monotonic() + TIME_LIMIT

    def fetch(self, predictions: Sequence[Prediction]) -> dict[int, TaskImage]:
        """Return prediction id → the image of its task."""
        pool = ThreadPoolExecutor(THREADS)
        waiting = {row.id: pool.submit(self._task_image, row) for row in predictions}
        found = {number: self._in_time(future) for number, future in waiting.items()}
        pool.shutdown(wait=False, cancel_futures=True)
        return found

    def _in_time(self, future: "Future[TaskImage]") -> TaskImage:
        try:
            return future.result(max(0.0, self._deadline - time.monotonic()))
        except TimeoutError:
            return TaskImage(None, "The image did not arrive in time.")

    def _task_image(self, prediction: Prediction) -> TaskImage:
        project = self._projects.project(prediction.project_uid)
        assert project is not None, "its foreign key"
        try:
            image = _fetch_and_decode(prediction, project, self._studios, self._settings)
        except (ImageFetchError, NotDeliverable) as error:
            return TaskImage(None, f"The image cannot be fetched: {error}")
        except _UNREADABLE:
            return TaskImage(None, "The image cannot be read.")
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        return TaskImage(image)


def _fetch_and_decode(
    prediction: Prediction, project: Project, studios: LabelStudios, settings: Settings
) -> Image.Image:
    """Fetch and decode the image of a prediction's task.

    Returns:
        The upright image, RGB, at full size.

    Raises:
        ImageFetchError, NotDeliverable: it cannot be fetched.
        One of `_UNREADABLE`: it cannot be decoded, or is too large.
    """
    data = fetch(
        prediction.image_url,
        studios.for_image(project, prediction.image_url),
        max_bytes=settings.max_image_bytes,
        hosts=settings.image_hosts,
        task_id=prediction.task_id,
    )
    with Image.open(io.BytesIO(data)) as image:
        if image.width * image.height > settings.max_image_pixels:
            raise ValueError(f"expected at most {settings.max_image_pixels} pixels: reduce it")
        if image.mode.startswith(("I", "F")):
            return _grey(image).convert("RGB")
        return ImageOps.exif_transpose(image).convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    """Return an image of more than 8 bits with 8 bits, from black (lowest) to white (highest)."""
    values = np.asarray(image, np.float64)
    span = float(values.max() - values.min()) or 1.0
    return Image.fromarray(((values - values.min()) / span * 255).astype(np.uint8))
