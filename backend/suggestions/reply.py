"""Decide which ready predictions go into a reply to `/predict`."""

import logging
import time

from backend.database.connection import Database, now
from backend.durations.recorder import record_suggestion
from backend.labelstudio import schemas
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.projects import LabelStudios, NotDeliverable, Project
from backend.labelstudio.schemas import PredictionJson
from backend.settings import Settings
from backend.suggestions.changes import LEASE_SECONDS
from backend.suggestions.delivery import REPLY_CHECKED_AFTER_SECONDS, REPLY_SETTLES_SECONDS
from backend.suggestions.delivery_storage import DeliverySchedule, DeliveryStorage
from backend.suggestions.lookups import find_delivered
from backend.suggestions.presentation import Presentation
from backend.suggestions.records import DeliveryLease, Prediction

logger = logging.getLogger(__name__)

# The answer for one task: a prediction, or [] for "not yet".
Answer = PredictionJson | list[PredictionJson]


class ReplyBuilder:
    """Builds the reply to one request for predictions.

    Args:
        wait_deadline: monotonic time after which we no longer look into Label Studio.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        studios: LabelStudios,
        project: Project,
        control: KeypointControl,
        wait_deadline: float,
    ) -> None:
        self._presentation = Presentation(settings, database)
        self._deliveries = DeliveryStorage(database)
        self._schedule = DeliverySchedule(database)
        self._studios = studios
        self._project = project
        self._control = control
        self._wait_deadline = wait_deadline
        self._unreachable = False
        self._unchecked: list[int] = []

    def answer(self, row: Prediction) -> Answer:
        """Return a prediction that is ready, and record that this reply delivers it.

        Returns:
            [] if it is in Label Studio, or another process delivers it.
        """
        if row.delivery is None:
            return self._deliver(row, lease=None)
        if row.busy_until is not None and row.busy_until > now():
            return []
        return self._answer_again(row)

    def close(self) -> None:
        """Leave the predictions that were not looked up in Label Studio to workers."""
        self._schedule.make_due(self._unchecked)

    def _answer_again(self, row: Prediction) -> Answer:
        """Answer for a prediction that was delivered, and may be lost or deleted."""
        if row.delivery is not None and row.delivery.is_pending_change:
            self._unchecked.append(row.id)
            return []
        if not self._unreachable and time.monotonic() > self._wait_deadline:
            self._unchecked.append(row.id)
            return []
        lease = self._deliveries.acquire(row.id, LEASE_SECONDS, only_if_due=False)
        if lease is None:
            return []
        found = None if self._unreachable else self._look_up(row)
        if found is None:
            return self._deliver(row, lease=lease)
        self._deliveries.confirm(lease, found.id, number=row.deliveries)
        return []

    def _look_up(self, row: Prediction) -> schemas.Prediction | None:
        """Return the prediction as Label Studio has it; None if it has none or is unreachable."""
        sent = row.delivery.sent if row.delivery else None
        try:
            predictions = self._studios.of(self._project).predictions(row.task_id)
        except (LabelStudioError, NotDeliverable) as error:
            self._unreachable = True
            logger.warning(
                "Project %s requests task %s again, and Label Studio cannot be searched for the "
                "prediction, so it is sent once more: %s",
                self._project.uid,
                row.task_id,
                error,
            )
            return None
        return find_delivered(predictions, row, sent)

    def _deliver(self, row: Prediction, lease: DeliveryLease | None) -> Answer:
        sent = self._presentation.as_sent(row, self._project, self._control)
        recorded = self._deliveries.record_delivery(
            row.id,
            "reply",
            sent,
            number=row.deliveries + 1,
            lease=lease,
            settles_in=REPLY_SETTLES_SECONDS,
            check_in=REPLY_CHECKED_AFTER_SECONDS,
        )
        if recorded is None:
            return []
        if row.deliveries == 0:
            record_suggestion("reply", row.asked_at)
        logger.info("Task %s of project %s: delivered in the reply", row.task_id, row.project_uid)
        return sent
