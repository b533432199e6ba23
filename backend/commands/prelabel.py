"""`python -m backend prelabel`: suggestions for every task of a project that has none yet.

Each is asked for as `/predict` asks, and brought to Label Studio by a worker. This command only
watches: the workers go on without it, and it may be run again at any time.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from tqdm import tqdm

from backend.database.connection import Database, now
from backend.database.prepare import prepare_database
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.label_config import LabelConfigError, keypoint_control
from backend.labelstudio.projects import ProjectStorage, label_studio_of, required_uid_of
from backend.local.embedded_redis import redis_url
from backend.settings import Settings
from backend.suggestions.delivery_storage import DeliverySchedule
from backend.suggestions.holdout import is_held_back
from backend.suggestions.queue import enqueue, make_queue
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from backend.training.registry import ModelRegistry

log = logging.getLogger(__name__)

CHUNK = 100
POLL_SECONDS = 0.5


class CannotPrelabel(RuntimeError):
    """The project cannot be read or configured; the message says what to do."""


@dataclass
class Summary:
    """What became of a project's tasks.

    Attributes:
        had: tasks that had a prediction of this model version already.
        delivered: tasks that got one now.
        failures: reason → tasks.
    """

    had: int = 0
    delivered: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        failed = self.failures.total()
        lines = [f"{self.had} had one before, {self.delivered} got one now, {failed} did not"]
        lines += [f"  {count} × {reason}" for reason, count in self.failures.most_common()]
        return "\n".join(lines)


def run(settings: Settings, project_id: int) -> int:
    """Ask for what is missing, watch until all of it is delivered or failed, and sum it up.

    Returns:
        0 where every task has its prediction, else 1.

    Raises:
        LabelStudioNotSet, DatabaseUnusable, CannotPrelabel: Label Studio, the database or the
            project cannot be used.
    """
    label_studio = label_studio_of(settings)
    prepare_database(settings)
    database = Database(settings.database)
    with Redis.from_url(redis_url(settings)) as connection:
        errand = _Errand(settings, database, make_queue(connection), label_studio)
        try:
            project = label_studio.project(project_id)
            summary = errand.run(project)
        except (LabelStudioError, LabelConfigError) as error:
            raise CannotPrelabel(str(error)) from error
        finally:
            database.close()
    print(
        f"Predictions of {errand.version} for project {project_id}, {project['title']}: {summary}"
    )
    return 1 if summary.failures else 0


class _Errand:
    def __init__(
        self, settings: Settings, database: Database, queue: Queue, label_studio: LabelStudio
    ) -> None:
        self._settings = settings
        self._database = database
        self._queue = queue
        self._label_studio = label_studio
        self.version = ModelRegistry(settings, database).current().version

    def run(self, project: dict[str, Any]) -> Summary:
        summary = Summary()
        asked = self._ask(project, summary)
        if asked:
            self._watch(asked, summary)
        return summary

    def _ask(self, project: dict[str, Any], summary: Summary) -> set[int]:
        """Ids of the predictions that are wanted now, queued where they are not made yet."""
        control = keypoint_control(project["label_config"])
        uid = required_uid_of(project)
        ProjectStorage(self._database).save_label_config(uid, project["label_config"])
        asked: set[int] = set()
        tasks = self._label_studio.tasks(project["id"])
        with tqdm(total=project["task_number"], desc="Looking for tasks", unit="task") as bar:
            for chunk in _chunks(tasks):
                missing = [task for task in chunk if not self._has_one(task)]
                summary.had += len(chunk) - len(missing)
                wanted = [
                    one
                    for task in missing
                    if (one := wanted_of(task, control))
                    and not is_held_back(self._settings.holdout_share, uid, one.task_id)
                ]
                # Whoever gives this command wants what failed a moment ago to be tried again.
                rows = PredictionStorage(self._database).request(
                    uid, self.version, wanted, retry_failed_before=now(), to_deliver=True
                )
                DeliverySchedule(self._database).make_due([row.id for row in rows])
                self._enqueue(rows)
                asked.update(row.id for row in rows)
                bar.update(len(chunk))
        return asked

    def _has_one(self, task: dict[str, Any]) -> bool:
        return any(each.get("model_version") == self.version for each in task["predictions"])

    def _enqueue(self, rows: Sequence[Prediction]) -> None:
        try:
            for row in rows:
                if row.status == "queued":
                    enqueue(self._queue, self._settings, row.id, row.round)
        except RedisError as error:
            tqdm.write(f"Redis cannot be reached; workers queue the tasks when it can: {error}")

    def _watch(self, asked: set[int], summary: Summary) -> None:
        """Return when each is delivered or has failed; say once why one is not delivered yet."""
        told: set[str] = set()
        open_ids = set(asked)
        with tqdm(total=len(asked), desc="Pre-labelling", unit="task") as bar:
            while open_ids:
                for row in PredictionStorage(self._database).predictions(
                    sorted(PredictionStorage(self._database).finished(sorted(open_ids)))
                ):
                    if row.status == "failed" or row.check_at is None:
                        open_ids.discard(row.id)
                        bar.update()
                        _count(row, summary)
                    elif row.reason and row.reason not in told:
                        told.add(row.reason)
                        tqdm.write(f"Not delivered yet, tried again until it is: {row.reason}")
                if open_ids:
                    time.sleep(POLL_SECONDS)


def _count(row: Prediction, summary: Summary) -> None:
    if row.status == "failed" or row.reason or row.delivery is None:
        summary.failures[row.reason or "no reason is known"] += 1
    else:
        summary.delivered += 1


def _chunks(tasks: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while chunk := list(islice(tasks, CHUNK)):
        yield chunk
