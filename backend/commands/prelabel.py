"""`python -m backend prelabel`: request suggestions for every task that has none yet.

With `--again`, existing suggestions are changed to what the settings show now, without detecting
again. Each missing one is requested as `/predict` does, and a worker delivers it to Label Studio.
The command only watches: workers go on without it, and it may be run again at any time. If it was
interrupted while it looked for tasks, it goes on where it was.
"""

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import click
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from tqdm import tqdm

from backend.commands.command_line import refusing
from backend.commands.open_database import open_database
from backend.database.connection import Database, now
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.label_config import (
    KeypointControl,
    LabelConfigError,
    keypoint_control,
)
from backend.labelstudio.listing_storage import ListingStorage, Position
from backend.labelstudio.projects import (
    LabelStudios,
    NotDeliverable,
    ProjectStorage,
    label_studio_of,
)
from backend.labelstudio.schemas import Project, Task
from backend.learning.versions import SuggestionVersions
from backend.local.embedded_redis import redis_url
from backend.settings import Settings, load_settings
from backend.suggestions.changes import Change
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.delivery_storage import DeliverySchedule
from backend.suggestions.holdout import is_in_holdout
from backend.suggestions.queue import enqueue, make_queue
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from backend.training.registry import ModelRegistry

WATCHED_AT_ONCE = 2000  # predictions that one question to the database is about
CHANGES: dict[Change, str] = {
    "changed": "changed",
    "same": "already as the settings say",
    "begun": "left as they are, because someone has begun",
    "foreign": "left as they are, because they did not come from this backend",
    "busy": "left as they are, because they are being delivered just now",
}
POLL_SECONDS = 0.5
PURPOSE = "prelabel"


@click.command()
@click.option(
    "--project", type=int, required=True, metavar="ID", help="Its number in Label Studio."
)
@click.option(
    "--again",
    is_flag=True,
    help="Also change existing suggestions to what the project's settings show now, such as its "
    "threshold, where nobody has begun.",
)
def prelabel(project: int, again: bool) -> int:
    """Request suggestions for all tasks of a project, and wait."""
    with refusing(LabelStudioError, LabelConfigError, NotDeliverable):
        return prelabel_project(load_settings(), project, again=again)


@dataclass
class Summary:
    """Counts of a project's tasks.

    Attributes:
        existing: tasks that already had a prediction of this model version.
        delivered: tasks whose prediction was delivered by this run.
        failures: reason → tasks without a prediction.
        changes: what became of changing existing predictions → tasks; None if that was not asked.
    """

    existing: int = 0
    delivered: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    changes: Counter[Change] | None = None

    def __str__(self) -> str:
        failed = self.failures.total()
        lines = [f"{self.existing} existed before, {self.delivered} are new, {failed} failed"]
        lines += [f"  {count} × {reason}" for reason, count in self.failures.most_common()]
        if self.changes is not None:
            counts = [(self.changes[each], text) for each, text in CHANGES.items()]
            lines += [f"  {count} × {text}" for count, text in counts if count]
        return "\n".join(lines)


def prelabel_project(settings: Settings, project_id: int, *, again: bool = False) -> int:
    """Request the missing predictions, wait until each is delivered or failed, print a summary.

    Args:
        again: also change those that exist to what the project's settings show now.

    Returns:
        0 if every task has its prediction, else 1.

    Raises:
        LabelStudioNotSet, LabelStudioError, LabelConfigError, DatabaseUnusable: Label Studio, the
            project, its configuration or the database cannot be used.
    """
    label_studio = label_studio_of(settings)
    with open_database(settings) as database, Redis.from_url(redis_url(settings)) as connection:
        project = label_studio.project(project_id)
        run = PrelabelRun(settings, database, make_queue(connection), label_studio, project)
        summary = run.run(again=again)
    print(f"Predictions of {run.version} for project {project_id}, {project.title}: {summary}")
    return 1 if summary.failures else 0


class PrelabelRun:
    """Requests the missing predictions of a project, and waits for them."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        queue: Queue,
        label_studio: LabelStudio,
        project: Project,
    ) -> None:
        self._settings = settings
        self._project = project
        self._projects = ProjectStorage(database)
        self._listings = ListingStorage(database)
        self._predictions = PredictionStorage(database)
        self._deliveries = DeliverySchedule(database)
        self._queue = queue
        self._label_studio = label_studio
        self._service = DeliveryService(settings, database, LabelStudios(settings))
        models = ModelRegistry(settings, database)
        self.version = SuggestionVersions(settings, database, models).current(project.uid)

    def run(self, *, again: bool = False) -> Summary:
        """Request, wait and count.

        Args:
            again: also change the predictions that exist.

        Raises:
            LabelStudioError, LabelConfigError: the tasks or the configuration cannot be used.
        """
        summary = Summary(changes=Counter() if again else None)
        requested = self._request(summary)
        if requested:
            self._wait(requested, summary)
        return summary

    def _request(self, summary: Summary) -> deque[int]:
        """Return the ids of the requested predictions; queue those that do not exist yet."""
        project, purpose = self._project, f"{PURPOSE} {self.version}"
        control = keypoint_control(project.label_config)
        self._projects.save_label_config(project.uid, project.label_config)
        # With `again`, every existing prediction is looked at.
        found = self._listings.position(project.uid, purpose)
        position = found if summary.changes is None else Position()
        requested = deque(self._requested_since(position))
        looked = position.counts.get("tasks", 0)
        summary.existing = position.counts.get("existing", 0)
        if position.after:
            tqdm.write(f"Going on behind task {position.after}, where the last run was interrupted")
        total = project.task_number
        with tqdm(total=total, initial=looked, desc="Looking for tasks", unit="task") as bar:
            for page in self._label_studio.task_pages(project.id, position.after):
                requested.extend(self._request_page(control, page.tasks, summary))
                looked += len(page.tasks)
                bar.update(len(page.tasks))
                counts = {"tasks": looked, "existing": summary.existing}
                position = Position(page.last_id, position.began_at, counts)
                self._listings.save(project.uid, purpose, position)
        self._listings.end(project.uid, purpose)
        return requested

    def _requested_since(self, position: Position) -> list[int]:
        """Return the ids of the predictions that an interrupted run has requested."""
        if not position.after:
            return []
        return self._predictions.requested(self._project.uid, self.version, position.began_at)

    def _request_page(
        self, control: KeypointControl, tasks: Sequence[Task], summary: Summary
    ) -> list[int]:
        """Return the ids of the predictions that are requested for some tasks."""
        missing = [task for task in tasks if not task.has_prediction_of(self.version)]
        summary.existing += len(tasks) - len(missing)
        if summary.changes is not None:
            existing = [task for task in tasks if task not in missing]
            summary.changes.update(map(self._change, existing))
        uid, share = self._project.uid, self._settings.holdout_share
        wanted = [
            one
            for task in missing
            if (one := wanted_of(task, control)) and not is_in_holdout(share, uid, one.task_id)
        ]
        # Also retry tasks that failed a moment ago.
        rows = self._predictions.request(
            uid, self.version, wanted, retry_failed_before=now(), to_deliver=True
        )
        self._deliveries.make_due([row.id for row in rows])
        self._enqueue(rows)
        return list({row.id: None for row in rows})

    def _change(self, task: Task) -> Change:
        """Change the prediction that a task has to what the settings show now."""
        if task.annotations or task.drafts:
            return "begun"
        of_task = self._predictions.of_task(task.id, self._project.uid)
        ours = [row for row in of_task if row.model_version == self.version and row.delivery]
        return self._service.change(ours[0].id) if ours else "foreign"

    def _enqueue(self, rows: Sequence[Prediction]) -> None:
        try:
            enqueue(self._queue, self._settings, rows)
        except RedisError as error:
            tqdm.write(f"Redis cannot be reached; workers queue the tasks when it can: {error}")

    def _wait(self, waiting: deque[int], summary: Summary) -> None:
        """Wait until each is delivered or failed, and print each reason for a delay once."""
        printed: set[str] = set()
        with tqdm(total=len(waiting), desc="Pre-labelling", unit="task") as bar:
            while waiting:
                some = [waiting.popleft() for _ in range(min(len(waiting), WATCHED_AT_ONCE))]
                finished = self._predictions.finished(some)
                rows = self._predictions.predictions(sorted(finished))
                done = finished - {row.id for row in rows}  # a newer version has them already
                summary.existing += len(done)
                for row in rows:
                    if row.status == "failed" or row.check_at is None:
                        done.add(row.id)
                        _count(row, summary)
                    elif row.reason and row.reason not in printed:
                        printed.add(row.reason)
                        tqdm.write(f"Not delivered yet, and retried until it is: {row.reason}")
                bar.update(len(done))
                waiting.extend(each for each in some if each not in done)
                if waiting:
                    time.sleep(POLL_SECONDS)


def _count(row: Prediction, summary: Summary) -> None:
    if row.status == "failed" or row.reason or row.delivery is None:
        summary.failures[row.reason or "no reason is known"] += 1
    else:
        summary.delivered += 1
