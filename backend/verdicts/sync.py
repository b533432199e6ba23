"""Pull annotations through Label Studio's API, because events may be lost."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from backend.database.connection import Database, now
from backend.database.schema import LARGEST_ID
from backend.labelstudio import schemas
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.errors import LabelStudioError, lies_outside
from backend.labelstudio.listing_storage import ListingStorage, Position
from backend.labelstudio.project_uids import is_in_cvat
from backend.labelstudio.projects import (
    LabelStudios,
    NotDeliverable,
    Project,
    ProjectStorage,
    project_id_of,
)
from backend.labelstudio.schemas import Task
from backend.labelstudio.shapes import Json
from backend.labelstudio.task_listing import TaskPage
from backend.labelstudio.webhook_health import check_webhook
from backend.labelstudio.webhook_secrets import WebhookSecrets
from backend.labelstudio.webhook_storage import WebhookStorage
from backend.outages.breaker import SharedBreaker
from backend.retries import PULL, jittered
from backend.settings import Settings
from backend.verdicts.pull_storage import PullStorage
from backend.verdicts.recording import UNHANDLED, Recorder, unused_of
from backend.verdicts.records import Entry, Retraction, SyncRun, Unused

logger = logging.getLogger(__name__)

BATCH = 20  # annotations per transaction; others write in between
PURPOSE = "sync"

# Is given the uid of a project, how many of its tasks are done, and how many there are, if known.
Watch = Callable[[str, int, int | None], None]


def sync(
    settings: Settings,
    database: Database,
    project: str | None = None,
    watch: Watch = lambda *_: None,
) -> list[SyncRun]:
    """Add what the log lacks; a second call in a row adds nothing.

    A pull that was interrupted goes on where it was.

    Args:
        project: id or uid of one project; None for every known one.
        watch: is told how far the pull of a project is.
    """
    pull = _Pull(settings, database, watch)
    return [
        pull.run(uid)
        for uid in _of_label_studio(database)
        if project is None or project in (uid, str(project_id_of(uid)))
    ]


def sync_due(settings: Settings, database: Database) -> bool:
    """Sync the projects whose latest sync is at least `SYNC_EVERY` ago; workers call this often.

    After a pull that failed, the next ones follow sooner.

    Returns:
        Whether there was any such project.
    """
    if settings.sync_every <= 0:
        return False
    pull = _Pull(settings, database)
    due = [uid for uid in _of_label_studio(database) if pull.is_due(uid)]
    for uid in due:
        pull.run(uid)
    return bool(due)


def _of_label_studio(database: Database) -> list[str]:
    """Return the uids of the projects that are not in CVAT, whose annotations have another pull."""
    return [uid for uid in ProjectStorage(database).project_uids() if not is_in_cvat(uid)]


class _Pull:
    """Pulls the annotations of projects, one project at a time."""

    def __init__(
        self, settings: Settings, database: Database, watch: Watch = lambda *_: None
    ) -> None:
        self._watch = watch
        self._listings = ListingStorage(database)
        self._pulls = PullStorage(database)
        self._recorder = Recorder(settings, database)
        self._verdicts = self._recorder.verdicts
        self._projects = ProjectStorage(database)
        self._studios = LabelStudios(settings, SharedBreaker(database))
        self._every = settings.sync_every
        self._webhooks = WebhookStorage(database)
        secrets = WebhookSecrets(settings, database)
        self._accepts = secrets.accept if settings.basic_auth_pass else None

    def is_due(self, uid: str) -> bool:
        """Return whether it is time for the next sync of a project.

        It is as well if the last one was in the future: the clock was set back since.
        """
        last = self._pulls.last_synced_at(uid)
        if last is None:
            return True
        pause, failures = self._every, self._pulls.failed_pulls(uid)
        if failures:
            pause = min(pause, jittered(PULL.pause(failures - 1)))
        return abs(now() - last) > timedelta(seconds=pause)

    def run(self, uid: str) -> SyncRun:
        """Pull one project and store the result, also if it failed."""
        run = SyncRun(uid, started_at=now())
        project = self._projects.project(uid)
        assert project is not None, "guaranteed by the caller: the uid is from this table"
        try:
            run = self._pull(run, self._studios.of(project))
        except (LabelStudioError, NotDeliverable) as error:
            logger.warning("Project %s: its annotations cannot be pulled: %s", uid, error)
            run = replace(run, problem=str(error))
        except Exception as error:
            # One project must not keep the others from being pulled.
            logger.exception("Project %s: its annotations cannot be pulled", uid)
            run = replace(run, problem=f"{type(error).__name__}: {error}")
        self._pulls.add_sync_run(run)
        if project and run.problem is None:
            self._check_webhook(project)
        return run

    def _check_webhook(self, project: Project) -> None:
        """Store what is wrong with the webhook of a project, if anything is, and log it."""
        number = project_id_of(project.uid)
        assert number is not None, "it was pulled by its number"
        try:
            found = check_webhook(self._studios.of(project), number, self._accepts)
        except LabelStudioError as error:
            logger.info("Project %s: its webhook cannot be seen: %s", project.uid, error)
            return
        if found is not None:
            logger.warning("The webhook of project %s %s", project.uid, found)
        self._webhooks.save_check(project.uid, found)

    def _pull(self, run: SyncRun, client: LabelStudio) -> SyncRun:
        uid = run.project_uid
        project_id = project_id_of(uid)
        if project_id is None:
            return replace(
                run,
                problem="expected a project named by id and time of creation, such as "
                f"3.1795347724, got {uid!a}: not a project of Label Studio",
            )
        project = _project(client, uid, project_id)
        if project is None:
            # The log keeps what its annotators did.
            return replace(run, problem="the project is no longer in Label Studio")
        self._recorder.drain()  # so that states from events count as brought by events
        position = self._listings.position(uid, PURPOSE)
        after, tasks = position.after, position.counts.get("tasks", 0)
        if after:
            logger.info("Project %s: its pull goes on behind task %d", uid, after)
            run = _resumed(run, position)
        for page in client.task_pages(project_id, after):
            run = self._pull_page(run, client, page, after)
            after, tasks = page.last_id, tasks + len(page.tasks)
            self._listings.save(uid, PURPOSE, _position(run, after, tasks))
            self._watch(uid, tasks, project.task_number)
        self._listings.end(uid, PURPOSE)
        return run

    def _pull_page(self, run: SyncRun, client: LabelStudio, page: TaskPage, after: int) -> SyncRun:
        """Record the annotations of some tasks, and which of those that are known are deleted.

        Args:
            after: the tasks are those with ids above it, up to the last of the page.
        """
        uid = run.project_uid
        until = LARGEST_ID if page.is_last else page.last_id
        known = self._pulls.known_annotations(uid, after, until)
        deleted = self._pulls.retracted(uid, after, until)
        seen: set[int] = set()
        entries = [
            self._entry(run, task, annotation, deleted, seen)
            for task in page.tasks
            for annotation in task.raw_annotations()
        ]
        batches = [entries[start : start + BATCH] for start in range(0, len(entries), BATCH)]
        added = sum(map(self._record, batches))
        missing = [
            Entry(retractions=[Retraction(uid, annotation_id, None, run.started_at, "sync")])
            for annotation_id, made_at in known.items()
            if annotation_id not in seen
            and made_at < run.started_at
            and _is_deleted(client, annotation_id)
        ]
        retracted = self._verdicts.record(missing, now())[1]
        return replace(
            run,
            annotations=run.annotations + len(entries),
            added=run.added + added,
            retracted=run.retracted + retracted,
        )

    def _record(self, batch: list[Entry]) -> int:
        """Record entries, without those that the database refuses; count the new states."""
        try:
            return self._verdicts.record(batch, now())[0]
        except Exception as error:
            if lies_outside(error):
                raise
            if len(batch) > 1:
                return sum(self._record([entry]) for entry in batch)
            logger.exception("An annotation cannot be recorded")
            return 0

    def _entry(
        self,
        run: SyncRun,
        task: Task,
        annotation: Json,
        deleted: set[tuple[int, datetime]],
        seen: set[int],
    ) -> Entry:
        """Return what an annotation adds to the log, and add its id to `seen`.

        Args:
            annotation: raw JSON.
            deleted: annotations that the log records as deleted.
        """
        try:
            state = self._recorder.state_of(run.project_uid, annotation, "sync", {task.id: task})
        except Exception as error:
            if lies_outside(error):
                raise
            logger.exception("Project %s: an annotation cannot be recorded", run.project_uid)
            return Entry(unused=[unused_of(UNHANDLED, annotation, run.project_uid)])
        if isinstance(state, Unused):
            return Entry(unused=[state])
        seen.add(state.annotation_id)
        if (state.annotation_id, state.made_at) not in deleted:
            return Entry(states=[state])
        found_again = Retraction(
            run.project_uid, state.annotation_id, None, run.started_at, "sync", deleted=False
        )
        return Entry(states=[state], retractions=[found_again])


def _position(run: SyncRun, after: int, tasks: int) -> Position:
    """Return how far a pull is, with what it has counted."""
    counts = {
        "annotations": run.annotations,
        "added": run.added,
        "retracted": run.retracted,
        "tasks": tasks,
    }
    return Position(after, run.started_at, counts)


def _resumed(run: SyncRun, position: Position) -> SyncRun:
    """Return the run that an interrupted pull goes on with."""
    counts = position.counts
    return replace(
        run,
        started_at=position.began_at,
        annotations=counts["annotations"],
        added=counts["added"],
        retracted=counts["retracted"],
    )


def _project(client: LabelStudio, uid: str, project_id: int) -> schemas.Project | None:
    """Return a project; None if Label Studio does not have it, or another one with its id."""
    try:
        found = client.project(project_id)
    except LabelStudioError as error:
        if error.status != 404:
            raise
        return None
    return found if found.uid == uid else None


def _is_deleted(client: LabelStudio, annotation_id: int) -> bool:
    """Return whether a missing annotation is deleted, and not only without its task just now."""
    try:
        client.get(f"/api/annotations/{annotation_id}/")
    except LabelStudioError as error:
        if error.status == 404:
            return True
        raise
    return False
