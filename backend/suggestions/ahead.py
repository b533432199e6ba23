"""After a project has learnt something, request the suggestions of the next tasks anew.

Each becomes a further prediction of the new model version. Predictions that were delivered are
never changed, because somebody may be looking at them.
"""

import logging
from collections.abc import Callable

from rq import Queue

from backend.database.connection import Database, now
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.label_config import LabelConfigError, keypoint_control
from backend.labelstudio.projects import (
    LabelStudios,
    NotDeliverable,
    Project,
    ProjectStorage,
    project_id_of,
)
from backend.learning.records import Step
from backend.learning.step_storage import StepStorage
from backend.settings import Settings
from backend.suggestions.holdout import is_in_holdout
from backend.suggestions.queue import enqueue
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of

logger = logging.getLogger(__name__)

NEXT_TASKS = 50


class NextTasks:
    """Requests the suggestions of the next tasks of projects that have learnt something.

    Args:
        queue: of predictions.
        version_of: returns the version of a project's suggestions, given its uid.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        studios: LabelStudios,
        queue: Queue,
        version_of: Callable[[str], str],
    ) -> None:
        self._settings = settings
        self._studios = studios
        self._queue = queue
        self._version_of = version_of
        self._steps = StepStorage(database, limit=settings.learn_examples)
        self._projects = ProjectStorage(database)
        self._predictions = PredictionStorage(database)

    def request(self) -> int:
        """Request the next tasks of every new step; of one that cannot be reached now, later.

        Returns:
            The number of tasks.

        Raises:
            RedisError: Redis cannot be reached; workers queue what was requested later.
        """
        return sum(self._request_next(step) for step in self._steps.unrequested())

    def _request_next(self, step: Step) -> int:
        project = self._projects.project(step.project_uid)
        if project is None or self._version_of(step.project_uid) != step.version:
            self._steps.mark_requested(step, now())  # of a model that is no longer active
            return 0
        try:
            count = self._request_of(project, step.version)
        except LabelStudioError as error:
            if error.sent:
                logger.warning(
                    "Project %s: its next tasks cannot be listed: %s", project.uid, error
                )
            if error.retryable and error.status not in (401, 403):
                return 0
            count = 0
        except (NotDeliverable, LabelConfigError) as error:
            logger.warning("Project %s: its next tasks cannot be listed: %s", project.uid, error)
            count = 0
        self._steps.mark_requested(step, now())
        return count

    def _request_of(self, project: Project, version: str) -> int:
        control = keypoint_control(project.label_config or "")
        project_id = project_id_of(project.uid)
        if project_id is None:
            return 0
        tasks = self._studios.of(project).first_without_annotation(project_id, NEXT_TASKS)
        share = self._settings.holdout_share
        wanted = [
            one
            for task in tasks
            if not task.has_prediction_of(version)
            and (one := wanted_of(task, control))
            and not is_in_holdout(share, project.uid, one.task_id)
        ]
        rows = self._predictions.request(
            project.uid, version, wanted, retry_failed_before=now(), to_deliver=True
        )
        enqueue(self._queue, self._settings, rows)
        logger.info("Project %s: %d next tasks requested of %s", project.uid, len(rows), version)
        return len(rows)
