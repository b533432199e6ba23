"""The images of labelled tasks, fetched once and kept until the training has ended."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.client import LabelStudio
from backend.labelstudio.images import ImageFetchError, fetch
from backend.settings import Settings
from backend.training.labels import LabelledTask
from model.image import UnreadableImage, decode
from model.learning.labelled_images import LabelledImages, LeftOut

log = logging.getLogger(__name__)

AT_ONCE = 4  # Label Studio serves annotators too
PAUSES = (1.0, 5.0)  # s, before an image is asked for again that may be had later
# Of the images: where more cannot be had for passing reasons, training waits for better times.
MOST_MISSING = 0.1


class ImagesUnreachable(Exception):
    """Too many images cannot be had now, though perhaps later; says why."""


def fetch_images(
    tasks: Sequence[LabelledTask],
    label_studio: LabelStudio,
    settings: Settings,
    folder: Path,
    *,
    left_out: Sequence[LeftOut] = (),
    on_progress: Callable[[int], None] = lambda done: None,
) -> LabelledImages:
    """The images with their classes; those that are in the folder already are not fetched again.

    Args:
        folder: where they are kept.
        left_out: what the source cannot use besides.
        on_progress: told how many were looked at.

    Returns:
        Images of which those that cannot be had raise `UnreadableImage` when they are loaded.

    Raises:
        ImagesUnreachable: too many cannot be had now.
        OSError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    errors: dict[int, ImageFetchError] = {}
    lock, done = threading.Lock(), 0

    def keep(index: int) -> None:
        nonlocal done
        try:
            _fetch_once(tasks[index], label_studio, settings, _place(folder, tasks[index]))
        except ImageFetchError as error:
            errors[index] = error
        with lock:
            done += 1
            on_progress(done)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for future in [pool.submit(keep, index) for index in range(len(tasks))]:
            future.result()
    passing = [error for error in errors.values() if error.retryable]
    if len(passing) > MOST_MISSING * len(tasks):
        raise ImagesUnreachable(
            f"expected the images of {len(tasks)} tasks, but {len(passing)} cannot be had now: "
            f"{passing[0]}; start the training again when they can, the others are kept"
        )

    def load(index: int) -> NDArray[np.uint8]:
        if index in errors:
            raise UnreadableImage(str(errors[index]))
        content = _place(folder, tasks[index]).read_bytes()
        return decode(content, max_pixels=settings.max_image_pixels)

    names = tuple(task.name for task in tasks)
    return LabelledImages(names, tuple(task.label for task in tasks), load, tuple(left_out))


def _place(folder: Path, task: LabelledTask) -> Path:
    return folder / hashlib.sha256(f"{task.task_id} {task.image_url}".encode()).hexdigest()


def _fetch_once(
    task: LabelledTask, label_studio: LabelStudio, settings: Settings, place: Path
) -> None:
    """Keep the bytes of an image whole or not at all."""
    if place.exists():
        return
    for pause in (*PAUSES, None):
        try:
            content = fetch(
                task.image_url,
                label_studio,
                max_bytes=settings.max_image_bytes,
                hosts=settings.image_hosts,
                task_id=task.task_id,
            )
            break
        except ImageFetchError as error:
            if pause is None or not error.retryable:
                raise
            time.sleep(pause)
    partial = place.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(place)
