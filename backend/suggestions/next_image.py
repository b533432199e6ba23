"""Fetch the image of the next prediction while one is being made.

One image is fetched ahead, as bytes: more would not come faster, as a worker detects for longer
than it fetches. Nothing is fetched ahead while images come at once.
"""

import logging
import threading
import time

from redis.exceptions import RedisError
from rq import Queue
from sqlalchemy.exc import SQLAlchemyError

from backend.labelstudio.images import Images
from backend.labelstudio.projects import Project, ProjectStorage
from backend.queue.next_job import choose_next, put_first
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage

logger = logging.getLogger(__name__)

# Below that, looking for the next image costs about as much as waiting for it; s.
WORTH_SECONDS = 0.002
# An image that is not needed after all makes room after this time, s.
KEPT_SECONDS = 30.0


class _Fetch:
    """One image that is being fetched in a thread of its own.

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
        self._content: bytes | None = None
        self._error: Exception | None = None

    def end(self, content: bytes | None, error: Exception | None = None) -> None:
        """Note what came."""
        self._content, self._error = content, error
        self._done.set()

    def wait(self) -> bytes | None:
        """Wait for the image, and return it; None if it was not needed."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._content


class NextImages:
    """The images of predictions, of which the next is fetched ahead if that pays.

    Args:
        queue: of the predictions; None to fetch nothing ahead.
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
        self._fetch: _Fetch | None = None
        self._seconds = 0.0  # that the latest image took to come

    def content(self, project: Project, row: Prediction) -> bytes:
        """Return the bytes of a prediction's image, and begin to fetch the next one.

        Raises:
            ImageFetchError, NotDeliverable: as `Images.content`.
        """
        ahead = self._take(row.id)
        content = ahead if ahead is not None else self._get(project, row)
        self._begin()
        return content

    def put_first(self) -> None:
        """Have the worker take the job next whose image is fetched ahead, if it still waits."""
        fetch = self._fetch
        if fetch is None or self._queue is None:
            return
        try:
            waits = put_first(self._queue, fetch.job_id)
        except RedisError as error:
            logger.debug("The next job is whichever comes first: %s", error)
            return
        if not waits or time.monotonic() - fetch.began > KEPT_SECONDS:
            self._fetch = None

    def _take(self, prediction_id: int) -> bytes | None:
        fetch = self._fetch
        if fetch is None or fetch.prediction_id != prediction_id:
            return None
        self._fetch = None
        return fetch.wait()

    def _get(self, project: Project, row: Prediction) -> bytes:
        began = time.monotonic()
        try:
            return self._images.content(project, row.image_url, row.task_id)
        finally:
            self._seconds = time.monotonic() - began

    def _begin(self) -> None:
        if self._queue is None or self._fetch is not None or self._seconds < WORTH_SECONDS:
            return
        try:
            job_id = choose_next(self._queue)
        except RedisError as error:
            logger.debug("No image is fetched ahead: %s", error)
            return
        if job_id is not None:
            self._fetch = fetch = _Fetch(job_id)
            name = "next image"
            threading.Thread(target=self._run, args=(fetch,), name=name, daemon=True).start()

    def _run(self, fetch: _Fetch) -> None:
        content = None
        try:
            row = self._predictions.prediction(fetch.prediction_id or 0)
            project = self._projects.project(row.project_uid) if row else None
            if row is not None and project is not None and row.status == "queued":
                content = self._get(project, row)
        except SQLAlchemyError as error:
            fetch.end(None)
            logger.debug("No image is fetched ahead: %s", error)
        except Exception as error:  # the job that needs the image ends as if it had met it itself
            fetch.end(None, error)
        else:
            fetch.end(content)
