"""Images of labelled tasks, fetched once and kept on disk until the training has ended."""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend import retries
from backend.labelstudio.images import ImageFetchError, Images
from backend.labelstudio.projects import Project
from backend.training.labels import LabelledTask
from model.decoding import UnreadableImage
from model.learning.labelled_images import LabelledImages, LeftOut

AT_ONCE = 4  # Label Studio serves annotators too
# Share of the images; if temporary failures affect more than this, the training fails.
MOST_MISSING = 0.1


class ImagesUnreachable(Exception):
    """Too many images cannot be fetched now, but may be later; the message says why.

    Attributes:
        away: the service that has them and is away; None if it is only some images.
    """

    def __init__(self, message: str, away: str | None) -> None:
        super().__init__(message)
        self.away = away


def fetch_images(
    tasks: Sequence[LabelledTask],
    images: Images,
    project: Project,
    folder: Path,
    *,
    left_out: Sequence[LeftOut] = (),
    on_progress: Callable[[int], None] = lambda done: None,
) -> LabelledImages:
    """Fetch the images of labelled tasks, except those that are in the folder already.

    Args:
        images: fetches and decodes them.
        project: project of the tasks.
        folder: folder to keep the images in.
        left_out: tasks that cannot be used, to be listed with the images.
        on_progress: called with the number of tasks that are done.

    Returns:
        The images with their classes; one that could not be fetched raises `UnreadableImage` when
        it is loaded.

    Raises:
        ImagesUnreachable: too many cannot be fetched now.
        OSError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    errors = _fetch_all(tasks, images, project, folder, on_progress)
    passing = [error for error in errors.values() if error.retryable]
    if len(passing) > MOST_MISSING * len(tasks):
        raise ImagesUnreachable(
            f"expected the images of {len(tasks)} tasks, but {len(passing)} cannot be fetched now: "
            f"{passing[0]}; the training goes on when they can, the others are kept",
            next((error.away for error in passing if error.away), None),
        )

    def load(index: int) -> NDArray[np.uint8]:
        if index in errors:
            raise UnreadableImage(str(errors[index]))
        return images.decode(_path(folder, tasks[index]).read_bytes())

    names = tuple(task.name for task in tasks)
    return LabelledImages(names, tuple(task.label for task in tasks), load, tuple(left_out))


def _fetch_all(
    tasks: Sequence[LabelledTask],
    images: Images,
    project: Project,
    folder: Path,
    on_progress: Callable[[int], None],
) -> dict[int, ImageFetchError]:
    """Fetch several images at once; return the errors by the index of their task."""
    errors: dict[int, ImageFetchError] = {}
    lock, done = threading.Lock(), 0

    def fetch(index: int) -> None:
        nonlocal done
        try:
            _fetch_once(tasks[index], images, project, _path(folder, tasks[index]))
        except ImageFetchError as error:
            errors[index] = error
        with lock:
            done += 1
            on_progress(done)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for future in [pool.submit(fetch, index) for index in range(len(tasks))]:
            future.result()
    return errors


def _fetch_once(task: LabelledTask, images: Images, project: Project, path: Path) -> None:
    """Fetch an image unless its file exists, and keep its bytes completely or not at all."""
    if path.exists():
        return
    content = _fetched(task, images, project)
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def _fetched(task: LabelledTask, images: Images, project: Project) -> bytes:
    """Return the bytes of an image, trying again after failures that may pass."""
    for pause in retries.TRAINING_IMAGE.pauses(retries.TRAINING_IMAGE_RETRIES):
        try:
            return images.content(project, task.image_url, task.task_id)
        except ImageFetchError as error:
            if not error.retryable or error.away:
                raise
            time.sleep(pause)
    return images.content(project, task.image_url, task.task_id)


def _path(folder: Path, task: LabelledTask) -> Path:
    return folder / hashlib.sha256(f"{task.task_id} {task.image_url}".encode()).hexdigest()
