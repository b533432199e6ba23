"""SQL that tells whether Label Studio's webhook is alive; cheap however many events there are."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from backend.database.connection import Database
from backend.verdicts.tables import events, sync_runs

LOOKED_AT = 1000  # latest events


@dataclass(frozen=True, slots=True)
class Pull:
    """The latest pull of a project's annotations.

    Attributes:
        added: annotations that no event had brought.
        problem: why it failed; None if it did not.
    """

    started_at: datetime
    added: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class WebhookSigns:
    """What tells whether events arrive.

    Attributes:
        last_event: when the latest arrived; None if none ever did.
        last_of: id of a project in Label Studio → when its latest arrived, among the last
            `LOOKED_AT`.
        pulls: uid of a project → its latest pull.
    """

    last_event: datetime | None
    last_of: dict[int, datetime]
    pulls: dict[str, Pull]


def webhook_signs(database: Database) -> WebhookSigns:
    """Return what tells whether events arrive."""
    latest = (
        select(events.c.project_id, events.c.received_at)
        .order_by(events.c.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    newest = func.max(latest.c.received_at, type_=events.c.received_at.type)
    of_projects = select(latest.c.project_id, newest).group_by(latest.c.project_id)
    last_runs = select(func.max(sync_runs.c.id)).group_by(sync_runs.c.project_uid)
    runs = select(
        sync_runs.c.project_uid, sync_runs.c.started_at, sync_runs.c.added, sync_runs.c.problem
    ).where(sync_runs.c.id.in_(last_runs))
    with database.reading() as connection:
        moments = {row[0]: row[1] for row in connection.execute(of_projects)}
        pulls = {uid: Pull(*pull) for uid, *pull in connection.execute(runs)}
    return WebhookSigns(
        last_event=max(moments.values(), default=None),
        last_of={each: moment for each, moment in moments.items() if each is not None},
        pulls=pulls,
    )
