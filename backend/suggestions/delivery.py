"""Bring a stored prediction to Label Studio exactly once, whoever dies on the way.

Label Studio never drops a doubled prediction, and an answer of ours may be lost. So a delivery is
recorded before it is made, only one process at a time talks to Label Studio about a prediction,
and it looks there first. `delivery_storage.DeliveryStorage` tells how they agree on who that is.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backend import retries
from backend.database.connection import Database, now
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.label_config import KeypointControl, LabelConfigError, keypoint_control
from backend.labelstudio.projects import (
    LabelStudios,
    NotDeliverable,
    Project,
    ProjectStorage,
    project_id_of,
)
from backend.labelstudio.regions import to_prediction
from backend.settings import Settings
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.records import Prediction, Way
from backend.suggestions.storage import PredictionStorage

log = logging.getLogger(__name__)

# Longer than a talk with Label Studio: three calls of 10 s at most, and a new access token.
HOLD_SECONDS = 60.0
# Label Studio needs a moment to store our answer.
REPLY_SETTLES_SECONDS = 10.0
# Label Studio itself waits 100 s for an answer; what has not arrived then never will.
REPLY_CHECKED_AFTER_SECONDS = 120.0

MOST_REMEMBERED = 1000


class TaskChanged(NotDeliverable):
    """The task shows another image than the one that was asked about."""


def arrived(
    predictions: Iterable[Mapping[str, Any]], row: Prediction, sent: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Ours among a task's predictions in Label Studio: with the regions of `sent`, else by version.

    One version has one prediction a task, so another's of our version counts as well.
    """
    of_version = [each for each in predictions if each.get("model_version") == row.model_version]
    if len(of_version) > 1:
        log.warning(
            "Task %s of project %s has %d predictions of %s in Label Studio",
            row.task_id,
            row.project_uid,
            len(of_version),
            row.model_version,
        )
    same = [each for each in of_version if sent and _ids(each) == _ids(sent)]
    return next(iter(same or of_version), None)


def _ids(prediction: Mapping[str, Any]) -> set[object]:
    return {region.get("id") for region in prediction.get("result") or []}


def as_sent(row: Prediction, control: KeypointControl, default_label: str | None) -> dict[str, Any]:
    """A prediction that is ready, as Label Studio takes it."""
    assert row.detection is not None
    return to_prediction(
        row.detection,
        control,
        key=row.key,
        model_version=row.model_version,
        default_label=default_label,
    )


@dataclass
class _Errand:
    """One walk to Label Studio; `token` says until when nobody else goes."""

    row: Prediction
    project: Project
    token: datetime
    posted: bool = False


class Courier:
    """What a worker does for predictions that are ready, when it is due."""

    def __init__(self, settings: Settings, database: Database, studios: LabelStudios) -> None:
        self._default_label = settings.default_label
        self._database = database
        self._studios = studios
        self._told: set[tuple[str, str]] = set()

    def bring_due(self, limit: int) -> bool:
        """Bring up to `limit` predictions that are due; whether there were so many."""
        due = DeliveryStorage(self._database).due(limit)
        for prediction_id in due:
            self.bring(prediction_id)
        return len(due) == limit

    def bring(self, prediction_id: int) -> None:
        """See to it that Label Studio has a prediction; does nothing where that is another's task.

        What goes wrong is logged and tried again when it may have passed.
        """
        token = DeliveryStorage(self._database).hold(prediction_id, HOLD_SECONDS, only_if_due=True)
        row = PredictionStorage(self._database).prediction(prediction_id)
        project = ProjectStorage(self._database).project(row.project_uid) if row else None
        if token is None or row is None or project is None:
            return
        errand = _Errand(row, project, token)
        try:
            self._run(errand)
        except (LabelStudioError, LabelConfigError, NotDeliverable) as error:
            self._put_off(errand, error)
        except Exception as error:
            log.exception("Task %s of project %s: unexpected error", row.task_id, row.project_uid)
            self._put_off(errand, error)

    def _run(self, errand: _Errand) -> None:
        row = errand.row
        sent = row.delivery.sent if row.delivery else None
        client = self._studios.of(errand.project)
        there = arrived(client.predictions(row.task_id), row, sent)
        if there is not None:
            self._note(errand, there)
            return
        self._push(errand, client)

    def _note(self, errand: _Errand, there: Mapping[str, Any]) -> None:
        """Label Studio has it: note under which key."""
        row, number = errand.row, errand.row.deliveries
        if number == 0:
            number = 1
            kept = {name: there.get(name) for name in ("result", "score", "model_version")}
            if not self._announce(errand, number, kept, way="found"):
                return
        DeliveryStorage(self._database).confirm(
            row.id, there["id"], number=number, token=errand.token
        )

    def _push(self, errand: _Errand, client: LabelStudio) -> None:
        row, latest = errand.row, errand.row.delivery
        control = keypoint_control(errand.project.label_config or "")
        self._check_task(client, row, control)
        if latest is not None and latest.way == "push" and latest.confirmed_at is None:
            # Our own, which did not arrive: the same once more.
            number, sent = latest.number, latest.sent
            token = DeliveryStorage(self._database).hold_on(row.id, errand.token, HOLD_SECONDS)
            if token is None:
                return
            errand.token = token
        else:
            number, sent = row.deliveries + 1, as_sent(row, control, self._default_label)
            if not self._announce(errand, number, sent, way="push"):
                return
        errand.posted = True
        label_studio_id = client.create_prediction(row.task_id, sent)
        DeliveryStorage(self._database).confirm(
            row.id, label_studio_id, number=number, token=errand.token
        )
        log.info("Task %s of project %s: delivered", row.task_id, row.project_uid)

    def _announce(self, errand: _Errand, number: int, sent: dict[str, Any], *, way: Way) -> bool:
        """Record a delivery; False where somebody else came first."""
        token = DeliveryStorage(self._database).deliver(
            errand.row.id,
            way,
            sent,
            number=number,
            token=errand.token,
            settles_in=HOLD_SECONDS,
            check_in=HOLD_SECONDS,
        )
        if token is not None:
            errand.token = token
        return token is not None

    def _check_task(self, client: LabelStudio, row: Prediction, control: KeypointControl) -> None:
        """Make sure that the task is still the one that was asked about.

        Label Studio on SQLite hands out the ids of deleted tasks again. It is asked for a list of
        one task, since asking for a single task makes it ask us for a prediction.

        Raises:
            TaskChanged: it is another one, or gone.
        """
        project_id = project_id_of(row.project_uid)
        if project_id is None:
            raise TaskChanged(
                f"expected a project of Label Studio, such as 3.1795347724, got {row.project_uid}: "
                "the prediction is kept here and not delivered"
            )
        chosen = {"selectedItems": {"all": False, "included": [row.task_id]}}
        try:
            page = client.get(
                "/api/tasks/",
                project=project_id,
                query=json.dumps(chosen),
                resolve_uri="false",  # as /predict has it, for images in cloud storages
                page_size=1,
            )
        except LabelStudioError as error:
            if error.status != 404:
                raise
            page = {"tasks": []}
        images = [task["data"].get(control.image_field) for task in page["tasks"]]
        if images != [row.image_url]:
            raise TaskChanged(
                f"expected task {row.task_id} with the image that was asked about, but Label "
                f"Studio has {'another image there' if images else 'none of that number'} now: "
                "the prediction is kept here and not delivered"
            )

    def _put_off(self, errand: _Errand, error: Exception) -> None:
        row, moment = errand.row, now()
        later = moment + timedelta(seconds=retries.DELIVERY.pause(row.checks))
        by_reply = row.delivery is not None and row.delivery.way == "reply"
        may_pass = isinstance(error, LabelStudioError) and error.retryable
        given_up = (
            isinstance(error, TaskChanged)
            or (
                row.finished_at is not None
                and moment - row.finished_at > retries.DELIVERY_GIVEN_UP_AFTER
            )
            # What we may not look at most likely arrived.
            or (by_reply and not may_pass)
        )
        # It may be storing what we sent although it did not say so.
        unclear = errand.posted and may_pass
        DeliveryStorage(self._database).let_go(
            row.id,
            errand.token,
            reason=str(error),
            busy_until=later if unclear else None,
            check_at=None if given_up else later,
        )
        # A thousand tasks fail for the same reason: say it once loudly.
        known = (row.project_uid, str(error)) in self._told
        if len(self._told) >= MOST_REMEMBERED:
            self._told.clear()
        self._told.add((row.project_uid, str(error)))
        log.log(
            logging.DEBUG if known else logging.WARNING,
            "Task %s of project %s: not delivered yet: %s",
            row.task_id,
            row.project_uid,
            error,
        )
