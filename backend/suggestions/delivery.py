"""Deliver a stored prediction to Label Studio exactly once, even if processes die on the way.

Label Studio never removes a duplicate prediction, and a reply of ours may get lost. So a delivery
is recorded before it is made, and only the holder of a prediction's lease talks to Label Studio
about it, after looking whether the prediction is there. `delivery_storage` has the protocol.

Several predictions of a project share one look, which follows their leases, and are confirmed
together. They are sent one by one all the same: Label Studio's import of many at once answers
without their keys, and reads and counts all tasks of the project each time.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby

from backend import retries
from backend.database.connection import Database, now
from backend.durations.recorder import measured_stage, record_suggestion
from backend.labelstudio import schemas
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.errors import LabelStudioError, cause_of, lies_outside
from backend.labelstudio.label_config import LabelConfigError, keypoint_control
from backend.labelstudio.projects import LabelStudios, NotDeliverable, ProjectStorage
from backend.logs import log_context
from backend.outages.records import Cause
from backend.settings import Settings
from backend.suggestions.changes import (
    LEASE_SECONDS,
    Change,
    ChangeService,
    DeliveryAttempt,
    record,
)
from backend.suggestions.delivery_storage import DeliverySchedule, DeliveryStorage
from backend.suggestions.leases import SHORT_LEASE_SECONDS, KeptLeases
from backend.suggestions.lookups import (
    TaskChanged,
    check_task,
    find_delivered,
    look_at_tasks,
    predictions_of,
    task_of,
)
from backend.suggestions.presentation import Presentation
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage

logger = logging.getLogger(__name__)

# Time that Label Studio needs to store our reply.
REPLY_SETTLES_SECONDS = 10.0
# Label Studio waits 100 s for a reply. A prediction that is not there by now never will be.
REPLY_CHECKED_AFTER_SECONDS = 120.0

MOST_REMEMBERED = 1000


class DeliveryService:
    """Delivers predictions from a worker through Label Studio's API."""

    def __init__(self, settings: Settings, database: Database, studios: LabelStudios) -> None:
        self._presentation = Presentation(settings, database)
        self._deliveries = DeliveryStorage(database)
        self._schedule = DeliverySchedule(database)
        self._predictions = PredictionStorage(database)
        self._projects = ProjectStorage(database)
        self._studios = studios
        self._patience = timedelta(seconds=settings.give_up_after)
        self._changes = ChangeService(self._deliveries)
        self._logged: set[tuple[str, str]] = set()

    def projects_due(self) -> list[str]:
        """Return the uids of the projects that have a prediction that is due."""
        return self._schedule.projects_due()

    def deliver_due(self, limit: int, project_uid: str | None = None) -> bool:
        """Deliver up to `limit` predictions that are due.

        Args:
            project_uid: None for those of every project.

        Returns:
            Whether there were that many, so that more may be due.
        """
        due = self._schedule.due(limit, project_uid)
        self._deliver(due)
        return len(due) == limit

    def deliver(self, prediction_id: int) -> None:
        """Make sure that Label Studio has a prediction.

        Does nothing if it is not due or another process holds its lease. Errors are logged, and
        the prediction becomes due again unless they are permanent.
        """
        self._deliver([prediction_id])

    def _deliver(self, ids: Sequence[int]) -> None:
        with self._leased(ids, only_if_due=True) as attempts:
            for _, group in groupby(attempts, lambda attempt: attempt.project.uid):
                self._deliver_together(list(group))

    def _deliver_together(self, attempts: Sequence[DeliveryAttempt]) -> None:
        """Deliver predictions of one project, after one look at all of their tasks."""
        try:
            client = self._studios.of(attempts[0].project)
            tasks = look_at_tasks(client, [attempt.row for attempt in attempts])
        except Exception as error:
            if not isinstance(error, NotDeliverable) and not lies_outside(error):
                raise
            for attempt in attempts:
                self._postpone(attempt, error)
            return
        try:
            for attempt in attempts:
                with log_context(request_id=attempt.row.request_id):
                    self._deliver_one(attempt, client, tasks)
        finally:
            self._confirm(attempts)

    def _confirm(self, attempts: Sequence[DeliveryAttempt]) -> None:
        """Confirm what has arrived together; without it, the next look finds it there."""
        arrived = [(each.lease, *each.arrived) for each in attempts if each.arrived]
        if arrived:
            self._deliveries.confirm_all(arrived)

    def _deliver_one(
        self, attempt: DeliveryAttempt, client: LabelStudio, tasks: dict[int, schemas.Task]
    ) -> None:
        row = attempt.row
        try:
            with measured_stage("deliver"):
                self._run(attempt, client, tasks)
        except (LabelStudioError, LabelConfigError, NotDeliverable) as error:
            self._postpone(attempt, error)
        except Exception as error:
            if not lies_outside(error):
                logger.exception(
                    "Task %s of project %s: unexpected error", row.task_id, row.project_uid
                )
            self._postpone(attempt, error)

    def change(self, prediction_id: int) -> Change:
        """Change a prediction that Label Studio has to what the settings show now.

        Does so only where nobody has begun; see `changes`.

        Raises:
            LabelStudioError, LabelConfigError, NotDeliverable: it is not known whether Label Studio
                has changed it; a worker finds out, and finishes it.
        """
        with self._leased([prediction_id], only_if_due=False) as attempts:
            if not attempts:
                return "busy"
            [attempt] = attempts
            try:
                return self._change(attempt)
            except (LabelStudioError, LabelConfigError, NotDeliverable) as error:
                self._postpone(attempt, error)
                raise

    def _change(self, attempt: DeliveryAttempt) -> Change:
        row, project = attempt.row, attempt.project
        client = self._studios.of(project)
        sent = row.delivery.sent if row.delivery else None
        found = find_delivered(client.predictions(row.task_id), row, sent)
        if found is None:
            self._post(attempt, client, task_of(client, row, {}))
            self._confirm([attempt])
            return "changed"
        if row.delivery is not None and row.delivery.is_pending_change:
            self._changes.resume(attempt, client, found)
            return self.change(row.id)
        control = keypoint_control(project.label_config or "")
        new = self._presentation.as_sent(row, project, control)
        return self._changes.change(attempt, client, found, new)

    @contextmanager
    def _leased(self, ids: Sequence[int], *, only_if_due: bool) -> Iterator[list[DeliveryAttempt]]:
        """Inside the block, hold the leases of predictions, without those that others hold.

        Yields:
            Attempts, those of each project together.
        """
        leases = self._deliveries.acquire_all(ids, SHORT_LEASE_SECONDS, only_if_due=only_if_due)
        if not leases:
            yield []
            return
        rows = self._predictions.predictions(list(leases))
        uids = sorted({row.project_uid for row in rows})
        projects = {uid: project for uid in uids if (project := self._projects.project(uid))}
        with KeptLeases(self._deliveries, leases) as kept:
            yield [
                DeliveryAttempt(row, project, kept)
                for uid, project in projects.items()
                for row in rows
                if row.project_uid == uid
            ]

    def _run(
        self, attempt: DeliveryAttempt, client: LabelStudio, tasks: dict[int, schemas.Task]
    ) -> None:
        row = attempt.row
        sent = row.delivery.sent if row.delivery else None
        task = task_of(client, row, tasks)
        found = find_delivered(predictions_of(client, task), row, sent)
        if found is None:
            self._post(attempt, client, task)
        elif row.delivery is not None and row.delivery.is_pending_change:
            self._changes.resume(attempt, client, found)
        else:
            self._confirm_found(attempt, found)

    def _confirm_found(self, attempt: DeliveryAttempt, found: schemas.Prediction) -> None:
        """Confirm a delivery that is in Label Studio, and record it first if it is not ours."""
        number = attempt.row.deliveries
        if number == 0:
            number = 1
            if not record(self._deliveries, attempt, number, found.as_json(), way="found"):
                return
        self._deliveries.confirm(attempt.lease, found.id, number=number)

    def _post(self, attempt: DeliveryAttempt, client: LabelStudio, task: schemas.Task) -> None:
        row, latest = attempt.row, attempt.row.delivery
        project = attempt.project
        control = keypoint_control(project.label_config or "")
        check_task(task, row, control)
        if latest is not None and latest.way == "push" and latest.confirmed_at is None:
            # A push of ours did not arrive: repeat the same delivery.
            number, sent = latest.number, latest.sent
            won = self._extend(attempt)
        else:
            number, sent = row.deliveries + 1, self._presentation.as_sent(row, project, control)
            won = record(self._deliveries, attempt, number, sent, way="push")
        if not won:
            return
        attempt.posted = True
        label_studio_id = client.create_prediction(row.task_id, sent)
        attempt.arrived = (label_studio_id, number)
        if number == 1:
            record_suggestion("push", row.asked_at)
        logger.info("Task %s of project %s: delivered", row.task_id, row.project_uid)

    def _extend(self, attempt: DeliveryAttempt) -> bool:
        """Extend the lease, and return False if it is lost."""
        lease = self._deliveries.extend_all([attempt.lease], LEASE_SECONDS).get(attempt.row.id)
        attempt.lease = lease or attempt.lease
        return lease is not None

    def _postpone(self, attempt: DeliveryAttempt, error: Exception) -> None:
        row, moment = attempt.row, now()
        pause = retries.jittered(retries.DELIVERY.pause(row.checks))
        next_attempt = moment + timedelta(seconds=pause)
        by_reply = row.delivery is not None and row.delivery.way == "reply"
        outside = lies_outside(error)
        cause = cause_of(error) if outside else Cause(str(error))
        refused = isinstance(error, LabelStudioError) and error.status in (401, 403)
        given_up = (
            isinstance(error, TaskChanged)
            or moment - (row.failing_since or moment) > self._patience
            # We have no access to Label Studio's API, but a reply usually arrives.
            or (by_reply and (refused or not outside))
        )
        # Label Studio may still be storing what we posted, although it reported an error.
        settled_at = moment + timedelta(seconds=retries.DELIVERY.first)
        self._deliveries.release(
            attempt.lease,
            cause,
            busy_until=settled_at if attempt.posted and outside else None,
            check_at=None if given_up else next_attempt,
        )
        if cause.sent:
            self._log_failure(row, cause.reason)

    def _log_failure(self, row: Prediction, reason: str) -> None:
        """Warn of the first task of a project that fails for a reason; the others are details."""
        known = (row.project_uid, reason) in self._logged
        if len(self._logged) >= MOST_REMEMBERED:
            self._logged.clear()
        self._logged.add((row.project_uid, reason))
        logger.log(
            logging.DEBUG if known else logging.WARNING,
            "Task %s of project %s: not delivered yet: %s",
            row.task_id,
            row.project_uid,
            reason,
        )
