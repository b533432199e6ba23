"""Fetch and decode the images of the next predictions while one is being made.

One image ahead is enough where a worker detects for longer than it fetches and decodes. Where
images take longer to come, several are fetched at the same time. Decoding happens in other
processes (see `labelstudio.decoders`). Nothing is done ahead while images come at once.
"""

import logging
import math
import threading
import time
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from redis.exceptions import RedisError
from rq import Queue
from sqlalchemy.exc import SQLAlchemyError

from backend.labelstudio.images import Images
from backend.labelstudio.projects import Project, ProjectStorage
from backend.queue.next_job import choose_next, put_first
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage

logger = logging.getLogger(__name__)

Picture: TypeAlias = NDArray[np.uint8]

# Below that, looking for the next image costs about as much as waiting for its pixels; s.
WORTH_SECONDS = 0.002
# An image that is not needed after all makes room after this time, s.
KEPT_SECONDS = 30.0
# Annotators wait for the same Label Studio.
MOST_AHEAD = 4
MOST_BYTES_AHEAD = 64 * 2**20
# Not every image takes as long to come as the latest one.
HEADROOM = 1.5


class _Ahead:
    """One image that is being fetched and decoded in a thread of its own.

    Attributes:
        job_id: of the prediction that needs it.
        prediction_id: None for a job of another kind.
        began: monotonic time, s.
        done: set when the image is there, or cannot come.
    """

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        number = job_id.split("-")[1:2]
        self.prediction_id = int(number[0]) if number and number[0].isdecimal() else None
        self.began = time.monotonic()
        self.done = threading.Event()
        self._picture: Picture | None = None
        self._error: Exception | None = None

    def end(self, picture: Picture | None, error: Exception | None = None) -> None:
        """Note what came."""
        self._picture, self._error = picture, error
        self.done.set()

    def wait(self) -> Picture | None:
        """Wait for the image, and return it; None if it was not needed."""
        self.done.wait()
        if self._error is not None:
            raise self._error
        return self._picture


class NextImages:
    """The images of predictions, of which the next are made ready ahead if that pays.

    Args:
        queue: of the predictions; None to do nothing ahead.
    """

    def __init__(
        self,
        images: Images,
        predictions: PredictionStorage,
        projects: ProjectStorage,
        queue: Queue | None = None,
    ) -> None:
        self._images = images
        self._predictions = predictions
        self._projects = projects
        self._queue = queue
        self._ahead: dict[str, _Ahead] = {}  # job id → its image, the one chosen first in front
        # Of the latest image: s that it took to come and to be decoded, and its bytes.
        self._seconds, self._bytes = 0.0, 1
        # Of the latest job: when it had its image, and s from then to the next job.
        self._had_image_at, self._job_seconds = math.nan, math.nan

    def picture(self, project: Project, row: Prediction) -> Picture:
        """Return a prediction's image, (H, W, 3) RGB, and begin with the next ones.

        Raises:
            Exception: as `Images.picture`.
        """
        self._job_seconds = time.monotonic() - self._had_image_at
        ahead = self._take(row.id)
        picture = ahead if ahead is not None else self._get(project, row)
        self._begin()
        self._had_image_at = time.monotonic()
        return picture

    def put_first(self) -> None:
        """Have the worker take a job next whose image is made ready, if one still waits."""
        if self._queue is None:
            return
        try:
            for ahead in sorted(self._ahead.values(), key=lambda each: not each.done.is_set()):
                waits = put_first(self._queue, ahead.job_id)
                if waits and time.monotonic() - ahead.began <= KEPT_SECONDS:
                    return
                del self._ahead[ahead.job_id]
        except RedisError as error:
            logger.debug("The next job is whichever comes first: %s", error)

    def _take(self, prediction_id: int) -> Picture | None:
        for ahead in self._ahead.values():
            if ahead.prediction_id == prediction_id:
                del self._ahead[ahead.job_id]
                return ahead.wait()
        return None

    def _get(self, project: Project, row: Prediction) -> Picture:
        began = time.monotonic()
        try:
            picture = self._images.picture(project, row.image_url, row.task_id)
            self._bytes = max(1, picture.nbytes)
            return picture
        finally:
            self._seconds = time.monotonic() - began

    def _wanted(self) -> int:
        """Return how many images should be ready, or on their way, while one is searched."""
        if self._seconds < WORTH_SECONDS:
            return 0
        if math.isnan(self._job_seconds):
            return 1
        needed = math.ceil(HEADROOM * self._seconds / max(self._job_seconds, WORTH_SECONDS))
        return max(1, min(needed, MOST_AHEAD, MOST_BYTES_AHEAD // self._bytes))

    def _begin(self) -> None:
        if self._queue is None:
            return
        try:
            while len(self._ahead) < self._wanted():
                job_id = choose_next(self._queue)
                if job_id is None:
                    return
                self._ahead[job_id] = ahead = _Ahead(job_id)
                name = "next image"
                threading.Thread(target=self._run, args=(ahead,), name=name, daemon=True).start()
        except RedisError as error:
            logger.debug("No image is made ready ahead: %s", error)

    def _run(self, ahead: _Ahead) -> None:
        picture = None
        try:
            row = self._predictions.prediction(ahead.prediction_id or 0)
            project = self._projects.project(row.project_uid) if row else None
            if row is not None and project is not None and row.status == "queued":
                picture = self._get(project, row)
        except SQLAlchemyError as error:
            ahead.end(None)
            logger.debug("No image is made ready ahead: %s", error)
        except Exception as error:  # the job that needs the image ends as if it had met it itself
            ahead.end(None, error)
        else:
            ahead.end(picture)
