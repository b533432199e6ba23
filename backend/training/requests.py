"""Asking for a training: by Label Studio's button and by the command alike."""

import logging

from redis.exceptions import RedisError
from rq import Queue

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.training.queue import enqueue_training
from backend.training.records import Training, Wishes
from backend.training.storage import TrainingStorage

log = logging.getLogger(__name__)


class TrainingRequests:
    """Puts trainings on their queue, one at a time for each project.

    Args:
        queue: of `training_queue.make_training_queue`.
    """

    def __init__(self, settings: Settings, database: Database, queue: Queue) -> None:
        self._settings = settings
        self._database = database
        self._trainings = TrainingStorage(database)
        self._queue = queue

    def ask(self, project_uid: str, label_config: str, wishes: Wishes | None = None) -> Training:
        """The training of a project; one that has not ended goes on, whatever its wishes were."""
        ProjectStorage(self._database).save_label_config(project_uid, label_config)
        training, is_new = self._trainings.ask(project_uid, wishes or Wishes())
        log.info(
            "Project %s: training %d is %s",
            project_uid,
            training.id,
            "asked for" if is_new else f"{training.state} already",
        )
        try:
            enqueue_training(self._queue, self._settings, training)
        except RedisError as error:
            log.error("Redis cannot be reached; a worker queues it when it can: %s", error)
        return training

    def latest(self, limit: int, project_uid: str | None = None) -> list[Training]:
        """The last trainings, of one project or of all, the newest first."""
        return self._trainings.latest(limit, project_uid)
