"""`python -m backend prelabel`: suggestions for every task of a project that has none yet.

Each is asked for as `/predict` asks, and brought to Label Studio by a worker. This command only
watches: the workers go on without it, and it may be run again at any time.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from tqdm import tqdm

from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.label_config import LabelConfigError, keypoint_control
from backend.local import embedded_redis
from backend.settings import Settings
from backend.suggestions.answers import wanted_of
from backend.suggestions.holdout import is_held_back
from backend.suggestions.queue import enqueue, make_queue
from backend.suggestions.records import Prediction
from backend.suggestions.storage import Storage, now
from backend.training.registry import ModelRegistry
from backend.web.server import prepare_database

log = logging.getLogger(__name__)

CHUNK = 100
POLL_SECONDS = 0.5


class CannotPrelabel(RuntimeError):
    """Something that is needed is missing; one line that says what to do."""


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
        CannotPrelabel: Label Studio, the project or the database cannot be used.
    """
    label_studio = label_studio_of(settings)
    prepare_database(settings)
    storage = Storage(settings.database)
    with Redis.from_url(redis_url(settings)) as connection:
        errand = _Errand(settings, storage, make_queue(connection), label_studio)
        try:
            project = label_studio.project(project_id)
            summary = errand.run(project)
        except (LabelStudioError, LabelConfigError) as error:
            raise CannotPrelabel(str(error)) from error
        finally:
            storage.close()
    print(
        f"Predictions of {errand.version} for project {project_id}, {project['title']}: {summary}"
    )
    return 1 if summary.failures else 0


def label_studio_of(settings: Settings) -> LabelStudio:
    """The one that the settings name.

    Raises:
        CannotPrelabel: they name none.
    """
    if settings.label_studio_url is None:
        raise CannotPrelabel(
            "expected to know which Label Studio is meant: set LABEL_STUDIO_URL and "
            "LABEL_STUDIO_API_KEY"
        )
    key = settings.label_studio_api_key
    return LabelStudio(settings.label_studio_url, key.get_secret_value() if key else None)


def redis_url(settings: Settings) -> str:
    """Where Redis is, also the one that `serve` brings."""
    return settings.redis_url or embedded_redis.address(settings.data_dir)


def project_uid(project: dict[str, Any]) -> str:
    """A project's name in /setup and /predict: its number and the second in which it was made."""
    created = datetime.fromisoformat(project["created_at"])
    return f"{project['id']}.{int(created.timestamp())}"


class _Errand:
    def __init__(
        self, settings: Settings, storage: Storage, queue: Queue, label_studio: LabelStudio
    ) -> None:
        self._settings = settings
        self._storage = storage
        self._queue = queue
        self._label_studio = label_studio
        self.version = ModelRegistry(settings, storage.database).current().version

    def run(self, project: dict[str, Any]) -> Summary:
        summary = Summary()
        asked = self._ask(project, summary)
        if asked:
            self._watch(asked, summary)
        return summary

    def _ask(self, project: dict[str, Any], summary: Summary) -> set[int]:
        """Ids of the predictions that are wanted now, queued where they are not made yet."""
        control = keypoint_control(project["label_config"])
        uid = project_uid(project)
        self._storage.save_label_config(uid, project["label_config"])
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
                rows = self._storage.request(
                    uid, self.version, wanted, retry_failed_before=now(), to_deliver=True
                )
                self._storage.check_now([row.id for row in rows])
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
                for row in self._storage.predictions(
                    sorted(self._storage.finished(sorted(open_ids)))
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
