"""Limits a project, so that nobody who reaches the backend can fill its disk, queue or database."""

import shutil
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from redis import Redis
from sqlalchemy import make_url

from backend.contract.request_limit import MINUTE, RequestLimit
from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage, project_id_of
from backend.settings import Settings
from backend.suggestions.limits_storage import WaitingTasks
from backend.training.limits_storage import WaitingTrainings

DAY = timedelta(days=1)
COUNT_SECONDS = 5.0  # for which a number of waiting tasks is not counted again
RETRY_SOON = 60  # s
UNKNOWN = ""  # all projects that are not known count as one
MIB = 2**20


class LimitReached(RuntimeError):
    """A request is beyond the limits of the settings; the message says which, and what to do.

    Attributes:
        status: that of the answer, in HTTP.
        retry_after: s; earlier it makes no sense to try again.
    """

    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DiskNearlyFull(LimitReached):
    """There is no room for new work, whoever asks for it."""

    status = 503


@dataclass
class _Counted:
    """How many tasks of a project waited at a moment of the monotonic clock."""

    at: float
    tasks: int


class Limits:
    """Refuses requests beyond the limits of the settings; safe for several threads.

    Args:
        connection: to the Redis in which all processes count requests together.
    """

    def __init__(self, settings: Settings, database: Database, connection: Redis) -> None:
        self._settings = settings
        self._projects = ProjectStorage(database)
        self._tasks = WaitingTasks(database)
        self._trainings = WaitingTrainings(database)
        self._folder = _folder_of(settings)
        self._requests = RequestLimit(connection, settings.max_requests_per_minute)
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._known_ids: set[int] = set()
        self._waiting: dict[str, _Counted] = {}

    def admit_project(self, uid: str) -> None:
        """Count a request of a project, and refuse the project if it is one too many.

        Raises:
            LimitReached: it sends too many requests, or there are too many projects.
            DiskNearlyFull: see MIN_FREE_DISK.
        """
        self._expect_free_disk()
        known = self._is_known(uid)
        self._count_request(uid if known else UNKNOWN)
        most = self._settings.max_projects
        if not known and self._projects.count() >= most:
            raise LimitReached(
                f"expected at most MAX_PROJECTS={most} projects, got one more: raise the limit",
                retry_after=RETRY_SOON,
            )

    def admit_event(self, project_id: int | None) -> None:
        """Count an event of a project.

        Raises:
            LimitReached, DiskNearlyFull: as `admit_project`.
        """
        self._expect_free_disk()
        known = project_id is not None and self._is_known_id(project_id)
        self._count_request(str(project_id) if known else UNKNOWN)

    def admit_tasks(self, uid: str, tasks: int) -> None:
        """Refuse tasks if too many of the project's wait already.

        Raises:
            LimitReached: they would be too many.
        """
        most = self._settings.max_waiting_tasks
        if self._waiting_with(uid, tasks) > most:
            raise LimitReached(
                f"expected at most MAX_WAITING_TASKS={most} waiting tasks of project {uid}, got "
                f"{tasks} more: select fewer tasks, or wait until workers have done some",
                retry_after=RETRY_SOON,
            )

    def admit_training(self, uid: str) -> None:
        """Refuse a new training if too many wait, or the project had too many in a day.

        Raises:
            LimitReached: it would be one too many.
        """
        if self._trainings.has_unfinished(uid):
            return  # the same one goes on
        waiting, most = self._trainings.unfinished(), self._settings.max_waiting_trainings
        if waiting >= most:
            raise LimitReached(
                f"expected at most MAX_WAITING_TRAININGS={most} unfinished trainings, there are "
                f"{waiting}: wait until one has ended",
                retry_after=RETRY_SOON,
            )
        most = self._settings.max_trainings_per_day
        oldest = self._trainings.nth_latest(uid, most)
        if oldest is not None and oldest > now() - DAY:
            raise LimitReached(
                f"expected at most MAX_TRAININGS_PER_DAY={most} trainings of project {uid} in 24 "
                "hours, got one more: train later, or run `python -m backend train`",
                retry_after=max(1, int((oldest + DAY - now()).total_seconds())),
            )

    def _expect_free_disk(self) -> None:
        if self._folder is None:
            return
        least = self._settings.min_free_disk
        if shutil.disk_usage(self._folder).free < least * MIB:
            raise DiskNearlyFull(
                f"expected at least MIN_FREE_DISK={least} MiB of free disk in {self._folder}, got "
                "less: make room",
                retry_after=RETRY_SOON,
            )

    def _is_known(self, uid: str) -> bool:
        if uid in self._known:
            return True
        if self._projects.project(uid) is None:
            return False
        with self._lock:
            self._known.add(uid)
        return True

    def _is_known_id(self, project_id: int) -> bool:
        if project_id not in self._known_ids:
            found = {project_id_of(uid) for uid in self._projects.project_uids()}
            with self._lock:
                self._known_ids = {each for each in found if each is not None}
        return project_id in self._known_ids

    def _count_request(self, key: str) -> None:
        if not self._requests.admits(key):
            most = self._settings.max_requests_per_minute
            raise LimitReached(
                f"expected at most MAX_REQUESTS_PER_MINUTE={most} requests of a project, got more: "
                "send fewer, or raise the limit",
                retry_after=MINUTE,
            )

    def _waiting_with(self, uid: str, tasks: int) -> int:
        """Return how many tasks of a project wait, with new ones; count these if they fit."""
        with self._lock:
            counted = self._waiting.get(uid)
        if counted is None or time.monotonic() - counted.at > COUNT_SECONDS:
            most = self._settings.max_waiting_tasks
            counted = _Counted(time.monotonic(), self._tasks.count(uid, most + 1))
        total = counted.tasks + tasks
        if total <= self._settings.max_waiting_tasks:
            counted.tasks = total
        with self._lock:
            if len(self._waiting) > self._settings.max_projects:
                self._waiting.clear()
            self._waiting[uid] = counted
        return total


def _folder_of(settings: Settings) -> Path | None:
    """Return an existing folder on the disk of a SQLite database; None for another database."""
    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite":
        return None
    path = Path(url.database or "").absolute()
    return next(folder for folder in path.parents if folder.exists())
