"""All that the status page shows, put together from the database and Redis."""

import threading
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from backend.database.connection import Database, now
from backend.outages.records import JobFilter, Outage, WaitCount
from backend.suggestions.status_storage import Batch, QueueState, WorkStatus
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.unfinished_work import UnfinishedWork
from backend.training.records import Training
from backend.training.storage import TrainingStorage
from backend.verdicts.set_aside_storage import SetAsideStorage
from backend.verdicts.webhook_storage import WebhookState, WebhookStates
from backend.web.live_workers import LiveWorker, live_workers

# However many pages are open, the status is put together this often at most, and for this share of
# the time.
KEPT_SECONDS = 2.0
SHARE = 0.1
SHOWN_TRAININGS = 5


@dataclass(frozen=True, slots=True)
class Status:
    """What goes on in the deployment.

    Attributes:
        workers: None if Redis cannot be reached.
        batches: uid of a project → its running batch.
        not_done: what waits, failed or was given up, by reason.
        webhooks: uid of a project → whether its webhook is alive.
        last_event_at: when the latest event came, of whatever project; None if none ever did.
        set_aside: number of events that cannot be handled.
    """

    made_at: datetime
    queues: list[QueueState]
    workers: list[LiveWorker] | None
    batches: dict[str, Batch]
    not_done: list[WaitCount]
    away: list[Outage]
    trainings: list[Training]
    webhooks: dict[str, WebhookState]
    last_event_at: datetime | None
    set_aside: int

    def as_json(self) -> dict[str, Any]:
        """Return it for a program; its times are text in ISO 8601."""
        found: dict[str, Any] = _json_of(asdict(self))
        return found


class StatusService:
    """Puts the status together, and keeps it for a moment: longer if that took long."""

    def __init__(self, database: Database, connection: Redis) -> None:
        self._database = database
        self._connection = connection
        self._predictions = PredictionStorage(database)
        self._lock = threading.Lock()
        self._kept: Status | None = None
        self._kept_until = 0.0

    def status(self) -> Status:
        """Return what goes on now, or did so a moment ago."""
        with self._lock:
            began = time.monotonic()
            if self._kept is None or began > self._kept_until:
                self._kept = self._status()
                ended = time.monotonic()
                self._kept_until = ended + max(KEPT_SECONDS, (ended - began) / SHARE)
            return self._kept

    def forget(self) -> None:
        """Put it together anew the next time, because something was changed."""
        with self._lock:
            self._kept = None

    def _status(self) -> Status:
        work, unfinished = WorkStatus(self._database), UnfinishedWork(self._database)
        webhooks = WebhookStates(self._database)
        return Status(
            made_at=now(),
            queues=work.queues(),
            workers=live_workers(self._connection, self._predictions),
            batches=dict(work.batches()),
            not_done=unfinished.counts(JobFilter(with_queued=False)),
            away=unfinished.away(),
            trainings=TrainingStorage(self._database).latest(SHOWN_TRAININGS),
            webhooks={each.project_uid: each for each in webhooks.states()},
            last_event_at=webhooks.last_event_at(),
            set_aside=SetAsideStorage(self._database).count(),
        )


def _json_of(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _json_of(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_of(each) for each in value]
    return value
