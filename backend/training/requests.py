"""Requests for trainings, from Label Studio's button or from the command."""

import logging

from redis.exceptions import RedisError
from rq import Queue

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.training.queue import enqueue_training
from backend.training.records import Training, TrainingOptions
from backend.training.storage import TrainingStorage

logger = logging.getLogger(__name__)


class TrainingRequests:
    """Queues trainings, one at a time for each project.

    Args:
        queue: made by `backend.training.queue.make_training_queue`.
    """

    def __init__(self, settings: Settings, database: Database, queue: Queue) -> None:
        self._settings = settings
        self._projects = ProjectStorage(database)
        self._trainings = TrainingStorage(database)
        self._queue = queue

    def request(
        self, project_uid: str, label_config: str, options: TrainingOptions | None = None
    ) -> Training:
        """Queue a training of a project.

        Returns:
            The new training, or the project's unfinished one, regardless of its options.
        """
        self._projects.save_label_config(project_uid, label_config)
        training, is_new = self._trainings.request(project_uid, options or TrainingOptions())
        logger.info(
            "Project %s: training %d %s",
            project_uid,
            training.id,
            "requested" if is_new else f"is {training.state} already",
        )
        try:
            enqueue_training(self._queue, self._settings, training)
        except RedisError as error:
            logger.error(
                "Redis cannot be reached; a worker queues the training when it can: %s", error
            )
        return training

    def latest(self, limit: int, project_uid: str | None = None) -> list[Training]:
        """Return the last trainings, of one project or of all, newest first."""
        return self._trainings.latest(limit, project_uid)
