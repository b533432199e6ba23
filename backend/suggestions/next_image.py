"""Fetch and decode the image of the next prediction while one is being made.

One image is ready ahead, which is enough where a worker detects for longer than it fetches and
decodes; decoding happens in another process (see `labelstudio.decoders`). Nothing is done ahead
while images come at once.
"""

import logging
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


class _Ahead:
    """One image that is being fetched and decoded in a thread of its own.

    Attributes:
        job_id: of the prediction that needs it.
        prediction_id: None for a job of another kind.
    """

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        number = job_id.split("-")[1:2]
        self.prediction_id = int(number[0]) if number and number[0].isdecimal() else None
        self.began = time.monotonic()
        self._done = threading.Event()
        self._picture: Picture | None = None
        self._error: Exception | None = None

    def end(self, picture: Picture | None, error: Exception | None = None) -> None:
        """Note what came."""
        self._picture, self._error = picture, error
        self._done.set()

    def wait(self) -> Picture | None:
        """Wait for the image, and return it; None if it was not needed."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._picture


class NextImages:
    """The images of predictions, of which the next is made ready ahead if that pays.

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
        self._ahead: _Ahead | None = None
        self._seconds = 0.0  # that the latest image took to come and to be decoded

    def picture(self, project: Project, row: Prediction) -> Picture:
        """Return a prediction's image, (H, W, 3) RGB, and begin with the next one.

        Raises:
            Exception: as `Images.picture`.
        """
        ahead = self._take(row.id)
        picture = ahead if ahead is not None else self._get(project, row)
        self._begin()
        return picture

    def put_first(self) -> None:
        """Have the worker take the job next whose image is made ready, if it still waits."""
        ahead = self._ahead
        if ahead is None or self._queue is None:
            return
        try:
            waits = put_first(self._queue, ahead.job_id)
        except RedisError as error:
            logger.debug("The next job is whichever comes first: %s", error)
            return
        if not waits or time.monotonic() - ahead.began > KEPT_SECONDS:
            self._ahead = None

    def _take(self, prediction_id: int) -> Picture | None:
        ahead = self._ahead
        if ahead is None or ahead.prediction_id != prediction_id:
            return None
        self._ahead = None
        return ahead.wait()

    def _get(self, project: Project, row: Prediction) -> Picture:
        began = time.monotonic()
        try:
            return self._images.picture(project, row.image_url, row.task_id)
        finally:
            self._seconds = time.monotonic() - began

    def _begin(self) -> None:
        if self._queue is None or self._ahead is not None or self._seconds < WORTH_SECONDS:
            return
        try:
            job_id = choose_next(self._queue)
        except RedisError as error:
            logger.debug("No image is made ready ahead: %s", error)
            return
        if job_id is not None:
            self._ahead = ahead = _Ahead(job_id)
            name = "next image"
            threading.Thread(target=self._run, args=(ahead,), name=name, daemon=True).start()

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
