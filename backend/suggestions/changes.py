"""Change a prediction in Label Studio to what the settings show now, where nobody has begun.

The prediction keeps its primary key there: an annotator who has it open, and has not drawn yet, can
still submit it. The change is recorded as a delivery before it is made, as every delivery is, so
that the verdict log compares an annotation with what Label Studio held.
"""

import logging
from dataclasses import dataclass
from typing import Literal

from backend.labelstudio import schemas
from backend.labelstudio.client import TASKS, LabelStudio
from backend.labelstudio.projects import Project, project_id_of
from backend.labelstudio.schemas import PredictionJson
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.leases import KeptLeases
from backend.suggestions.records import DeliveryLease, Prediction, Way

logger = logging.getLogger(__name__)

# Of a prediction that is being sent. Longer than four requests of at most `client.WRITE_TIMEOUT`
# each: for an access token, the prediction, and both once more if the token is refused.
LEASE_SECONDS = 60.0

# What became of a change: made; not needed; not made, because someone has begun, because Label
# Studio holds a prediction of this version that is not ours, or because another process is at work.
Change = Literal["changed", "same", "begun", "foreign", "busy"]


@dataclass
class DeliveryAttempt:
    """One attempt to deliver a prediction.

    Attributes:
        kept: renews its lease until that is asked for.
        posted: whether the prediction was sent, with or without success.
        arrived: primary key in Label Studio and number of a delivery that is yet to be confirmed.
    """

    row: Prediction
    project: Project
    kept: KeptLeases
    posted: bool = False
    arrived: tuple[int, int] | None = None
    _lease: DeliveryLease | None = None

    @property
    def lease(self) -> DeliveryLease:
        """The current lease, for whoever replaces or ends it: it is renewed no more."""
        if self._lease is None:
            self._lease = self.kept.take(self.row.id)
        return self._lease

    @lease.setter
    def lease(self, lease: DeliveryLease) -> None:
        self._lease = lease


def record(
    deliveries: DeliveryStorage,
    attempt: DeliveryAttempt,
    number: int,
    sent: PredictionJson,
    *,
    way: Way,
) -> bool:
    """Record a delivery, and return False if another process was faster."""
    lease = deliveries.record_delivery(
        attempt.row.id,
        way,
        sent,
        number=number,
        lease=attempt.lease,
        settles_in=LEASE_SECONDS,
        check_in=LEASE_SECONDS,
    )
    attempt.lease = lease or attempt.lease
    return lease is not None


class ChangeService:
    """Changes predictions that Label Studio holds already."""

    def __init__(self, deliveries: DeliveryStorage) -> None:
        self._deliveries = deliveries

    def change(
        self,
        attempt: DeliveryAttempt,
        client: LabelStudio,
        found: schemas.Prediction,
        new: PredictionJson,
    ) -> Change:
        """Change a prediction, unless it is the same or someone has begun.

        Args:
            found: the prediction as Label Studio has it.
            new: what it shall be.
        """
        row = attempt.row
        if found.result == new["result"]:
            self._deliveries.confirm(attempt.lease, found.id, number=row.deliveries)
            return "same"
        if row.delivery is None or _ids(row.delivery.sent) != _ids(found.as_json()):
            self._deliveries.confirm(attempt.lease, found.id, number=row.deliveries)
            return "foreign"
        if _has_begun(client, row):
            self._deliveries.confirm(attempt.lease, found.id, number=row.deliveries)
            return "begun"
        if record(self._deliveries, attempt, row.deliveries + 1, new, way="change"):
            self._send(attempt, client, found, new, row.deliveries + 1)
        return "changed"

    def resume(
        self, attempt: DeliveryAttempt, client: LabelStudio, found: schemas.Prediction
    ) -> None:
        """Finish a change that was recorded, and that Label Studio may or may not have made."""
        row = attempt.row
        assert row.delivery is not None, "a change was recorded"
        if found.result == row.delivery.sent["result"]:
            self._deliveries.confirm(attempt.lease, found.id, number=row.deliveries)
        elif _has_begun(client, row):
            number = row.deliveries + 1
            if record(self._deliveries, attempt, number, found.as_json(), way="found"):
                self._deliveries.confirm(attempt.lease, found.id, number=number)
        else:
            self._send(attempt, client, found, row.delivery.sent, row.deliveries)

    def _send(
        self,
        attempt: DeliveryAttempt,
        client: LabelStudio,
        found: schemas.Prediction,
        sent: PredictionJson,
        number: int,
    ) -> None:
        row = attempt.row
        attempt.posted = True
        client.change_prediction(found.id, sent)
        self._deliveries.confirm(attempt.lease, found.id, number=number)
        logger.info("Task %s of project %s: prediction changed", row.task_id, row.project_uid)


def _has_begun(client: LabelStudio, row: Prediction) -> bool:
    """Return whether anyone has annotated or skipped a task, or has a draft of it."""
    project_id = project_id_of(row.project_uid)
    if project_id is None:
        return True
    task = client.task(project_id, row.task_id, fields="all")
    if task is None or task.annotations:
        return True
    # The task itself shows the drafts of the token's user alone.
    return bool(client.get(f"{TASKS}{row.task_id}/drafts"))


def _ids(prediction: PredictionJson) -> set[object]:
    return {region.get("id") for region in prediction["result"]}
