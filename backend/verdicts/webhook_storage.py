"""SQL that tells whether the webhook of each project is alive: what it sent, and what it lost."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage, project_id_of
from backend.labelstudio.webhook_health import repair
from backend.labelstudio.webhook_storage import WebhookStorage
from backend.verdicts.tables import events, sync_runs

# Searching all events of a project that sends none would read the whole table, and likewise pulls.
SEARCHED_EVENTS = 10_000
SEARCHED_PULLS = 10_000


@dataclass(frozen=True, slots=True)
class FailedPull:
    """A pull of a project's annotations that failed, and why."""

    started_at: datetime
    problem: str


@dataclass(frozen=True, slots=True)
class WebhookState:
    """What is known about the webhook of a project.

    Attributes:
        last_event_at: when its last event came; None if none is among the latest of all projects.
        pulled: states of annotations that only pulls have brought since then.
        checked_at: when a pull looked at the webhook in Label Studio; None if none did.
        problem: what was wrong with it then, and what to do; None if nothing was.
        failed_pull: the latest pull, if it failed: then nothing would find what was lost.
    """

    project_uid: str
    last_event_at: datetime | None
    pulled: int
    checked_at: datetime | None
    problem: str | None
    failed_pull: FailedPull | None = None

    @property
    def is_alive(self) -> bool:
        """Whether nothing says that events are lost."""
        return self.problem is None and self.pulled == 0

    def sentence(self) -> str:
        """Return the state for a person, with what to do."""
        if self.problem is not None:
            return f"The webhook {self.problem}"
        if self.pulled:
            return self.loss()
        if self.last_event_at:
            return f"The last event came {self.last_event_at:%Y-%m-%d %H:%M} UTC"
        return "No event came yet"

    def loss(self) -> str:
        """Return what only pulls have brought, for a person, with what to do."""
        number = project_id_of(self.project_uid)
        act = f": {repair(number)}" if number is not None else ""
        last = self.last_event_at
        since = f"since the last event ({last:%Y-%m-%d %H:%M} UTC) " if last else ""
        return (
            f"{self.pulled} annotations came {since}with a pull alone, so the webhook does not "
            f"reach this backend{act}"
        )


class WebhookStates:
    """What is known about the webhooks of all projects."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._projects = ProjectStorage(database)
        self._checks = WebhookStorage(database)

    def last_event_at(self) -> datetime | None:
        """Return when the latest event came, of whatever project; None if none ever did."""
        latest = select(events.c.received_at).order_by(events.c.id.desc()).limit(1)
        with self._database.reading() as connection:
            return connection.scalar(latest)

    def states(self) -> list[WebhookState]:
        """Return the state of each project's webhook, sorted by uid.

        Of projects with the same id, only the newest one has a webhook.
        """
        checks = self._checks.checks()
        found = []
        with self._database.reading() as connection:
            last_events, pulling = _last_events(connection), _with_pulls(connection)
            failed = _failed_pulls(connection)
            for uid in self._projects.newest_uids():
                last, check = last_events.get(project_id_of(uid)), checks.get(uid)
                found.append(
                    WebhookState(
                        uid,
                        last,
                        _pulled(connection, uid, last) if uid in pulling else 0,
                        check.checked_at if check else None,
                        check.problem if check else None,
                        failed.get(uid),
                    )
                )
        return found


def _last_events(connection: Connection) -> dict[int | None, datetime]:
    newest = connection.scalar(select(func.max(events.c.id))) or 0
    query = (
        select(events.c.project_id, func.max(events.c.received_at))
        .where(events.c.id > newest - SEARCHED_EVENTS)
        .group_by(events.c.project_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _with_pulls(connection: Connection) -> set[str]:
    """Return the projects to which one of the latest pulls added something."""
    newest = connection.scalar(select(func.max(sync_runs.c.id))) or 0
    query = (
        select(sync_runs.c.project_uid)
        .where(sync_runs.c.id > newest - SEARCHED_PULLS, sync_runs.c.added > 0)
        .distinct()
    )
    return set(connection.scalars(query))


def _failed_pulls(connection: Connection) -> dict[str, FailedPull]:
    """Return uid of a project → its latest pull, of those whose latest pull failed."""
    latest = select(func.max(sync_runs.c.id)).group_by(sync_runs.c.project_uid)
    query = select(sync_runs.c.project_uid, sync_runs.c.started_at, sync_runs.c.problem).where(
        sync_runs.c.id.in_(latest), sync_runs.c.problem.is_not(None)
    )
    return {uid: FailedPull(*pull) for uid, *pull in connection.execute(query)}


def _pulled(connection: Connection, uid: str, since: datetime | None) -> int:
    """Return what pulls added after the last event; the first pull brings what was there before."""
    done = (sync_runs.c.project_uid == uid) & sync_runs.c.problem.is_(None)
    first = select(func.min(sync_runs.c.id)).where(done).scalar_subquery()
    query = select(func.sum(sync_runs.c.added)).where(done, sync_runs.c.id > first)
    if since is not None:
        query = query.where(sync_runs.c.started_at > since)
    return connection.scalar(query) or 0
