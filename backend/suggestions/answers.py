"""What is stored, what is queued, and what `/predict` answers."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from redis.exceptions import RedisError
from rq import Queue

from backend.database.connection import Database, now
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.projects import LabelStudios, NotDeliverable, Project
from backend.settings import Settings
from backend.suggestions.delivery import (
    HOLD_SECONDS,
    REPLY_CHECKED_AFTER_SECONDS,
    REPLY_SETTLES_SECONDS,
    arrived,
    as_sent,
)
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.holdout import HoldoutStorage, is_held_back
from backend.suggestions.queue import enqueue
from backend.suggestions.records import Prediction, Wanted
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05
# A poll takes at most so large a share of the time.
POLL_SHARE = 0.1
# From the end of waiting until the reply is recorded.
LEASE_MARGIN = timedelta(seconds=5)
# Label Studio hangs up after 100 s; what a reply has no time for, workers queue and bring.
LONGEST_ANSWER_SECONDS = 95.0

# An answer for one task: a prediction, or [] for "not yet".
Answer = dict[str, Any] | list[dict[str, Any]]


class Predictions:
    """Answers `/predict`.

    Some threads of the process never wait, so that `/health` is answered at any time.

    Args:
        model_version: tells which model answers now.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        queue: Queue,
        model_version: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._database = database
        self._queue = queue
        self._version = model_version
        self._studios = LabelStudios(settings)
        spare = max(1, settings.threads // 4)
        self._patience = threading.BoundedSemaphore(max(1, settings.threads - spare))

    def answer(
        self, project: Project, control: KeypointControl, tasks: Sequence[object]
    ) -> list[Answer]:
        """What Label Studio gets for each of its tasks; what is not ready comes later by a worker.

        Returns:
            As many answers as tasks, in their order.
        """
        seconds = (
            self._settings.predict_wait_one
            if len(tasks) == 1
            else self._settings.predict_wait_batch
        )
        latest = time.monotonic() + LONGEST_ANSWER_SECONDS
        wanted = self._hold_back(project, [wanted_of(task, control) for task in tasks], latest)
        rows = self._request(project, [one for one in wanted if one], to_deliver=True)
        with self._deadline(seconds) as deadline, self._waited_for(rows, deadline):
            self._wait(rows, deadline, latest)
            replies = iter(self._replies(project, control, rows, deadline, latest))
        return [next(replies) if one else [] for one in wanted]

    def _hold_back(
        self, project: Project, wanted: Sequence[Wanted | None], latest: float
    ) -> list[Wanted | None]:
        """None in the place of tasks whose predictions are made but not shown."""
        share = self._settings.holdout_share
        held = [one for one in wanted if one and is_held_back(share, project.uid, one.task_id)]
        if not held:
            return list(wanted)
        task_ids = {one.task_id for one in held}
        HoldoutStorage(self._database).withhold(project.uid, sorted(task_ids), now())
        self._enqueue(self._request(project, held, to_deliver=False), latest)
        return [None if one and one.task_id in task_ids else one for one in wanted]

    def answer_interactive(
        self,
        project: Project,
        control: KeypointControl,
        task: object,
        context: Mapping[str, Any],
    ) -> dict[str, Any]:
        """What an annotator gets who is drawing; Label Studio shows it and does not store it.

        Args:
            context: its `result` holds the regions just drawn; a rectangle is where to look.

        Returns:
            A prediction; without any region where it is not ready in time.
        """
        drawn = {"drafts": [{"result": context.get("result")}], "annotations": []}
        wanted = wanted_of({**task, **drawn}, control) if isinstance(task, dict) else None
        ready = []
        if wanted is not None:
            rows = self._request(project, [wanted], to_deliver=False)
            latest = time.monotonic() + LONGEST_ANSWER_SECONDS
            with self._deadline(self._settings.predict_wait_one) as deadline:
                self._wait(rows, deadline, latest)
            found = PredictionStorage(self._database).predictions([row.id for row in rows])
            ready = [row for row in found if row.status == "ready"]
        if not ready:
            return {"result": [], "score": 0.0, "model_version": self._version()}
        return as_sent(ready[0], control, self._settings.default_label)

    def _request(
        self, project: Project, wanted: list[Wanted], *, to_deliver: bool
    ) -> list[Prediction]:
        for one in wanted:
            if one.refusal:
                log.warning("Task %s of project %s: %s", one.task_id, project.uid, one.refusal)
        pause = timedelta(seconds=self._settings.retry_failed_after)
        return PredictionStorage(self._database).request(
            project.uid,
            self._version(),
            wanted,
            retry_failed_before=now() - pause,
            to_deliver=to_deliver,
        )

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[float]:
        """Until when this thread may wait, on the monotonic clock: now, where too many do."""
        may_wait = self._patience.acquire(blocking=False)
        try:
            yield time.monotonic() + (seconds if may_wait else 0.0)
        finally:
            if may_wait:
                self._patience.release()

    @contextmanager
    def _waited_for(self, rows: Sequence[Prediction], deadline: float) -> Iterator[None]:
        """Inside the block, workers leave it to us to give Label Studio what gets ready."""
        ids = _queued(rows)
        seconds = deadline - time.monotonic()
        if not ids or seconds <= 0:
            yield
            return
        until = now() + timedelta(seconds=seconds) + LEASE_MARGIN
        DeliveryStorage(self._database).wait_for(ids, until)
        try:
            yield
        finally:
            DeliveryStorage(self._database).stop_waiting(ids, until)

    def _wait(self, rows: Sequence[Prediction], deadline: float, latest: float) -> None:
        """Queue what is not ready and wait for it, until the deadline at most."""
        waiting = self._enqueue(rows, latest)
        while waiting and time.monotonic() < deadline:
            began = time.monotonic()
            waiting -= PredictionStorage(self._database).finished(sorted(waiting))
            pause = max(POLL_SECONDS, (time.monotonic() - began) / POLL_SHARE)
            if waiting:
                time.sleep(max(0.0, min(pause, deadline - time.monotonic())))

    def _enqueue(self, rows: Sequence[Prediction], latest: float) -> set[int]:
        """Queue what is not ready; which rows that are."""
        rounds = {row.id: row.round for row in rows if row.status == "queued"}
        try:
            for prediction_id, round_ in rounds.items():
                if time.monotonic() > latest:
                    break
                enqueue(self._queue, self._settings, prediction_id, round_)
        except RedisError as error:
            log.error("Redis cannot be reached; workers queue the tasks when it can: %s", error)
        return set(rounds)

    def _replies(
        self,
        project: Project,
        control: KeypointControl,
        rows: Sequence[Prediction],
        deadline: float,
        latest: float,
    ) -> list[Answer]:
        """An answer for each row; the same row twice is answered once."""
        desk = _Desk(self._settings, self._database, self._studios, project, control, deadline)
        current = {
            row.id: row
            for row in PredictionStorage(self._database).predictions([row.id for row in rows])
        }
        answers: list[Answer] = []
        for row in rows:
            found = current.pop(row.id, None)
            ready = found if found and found.status == "ready" else None
            answers.append(desk.reply(ready) if ready and time.monotonic() < latest else [])
        DeliveryStorage(self._database).check_now(desk.unchecked)
        return answers


class _Desk:
    """Decides, for one request, what of the predictions that are ready goes into the reply."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        studios: LabelStudios,
        project: Project,
        control: KeypointControl,
        deadline: float,
    ) -> None:
        self._default_label = settings.default_label
        self._database = database
        self._studios = studios
        self._project = project
        self._control = control
        self._deadline = deadline
        self._unreachable = False
        self.unchecked: list[int] = []

    def reply(self, row: Prediction) -> Answer:
        """The prediction, where nobody else has given it to Label Studio or is about to."""
        if row.delivery is None:
            return self._deliver(row, token=None)
        if row.busy_until is not None and row.busy_until > now():
            return []
        return self._reply_again(row)

    def _reply_again(self, row: Prediction) -> Answer:
        """Asked again for what was delivered: Label Studio may have lost or deleted it."""
        if not self._unreachable and time.monotonic() > self._deadline:
            self.unchecked.append(row.id)  # a worker looks, and brings it where it is missing
            return []
        token = DeliveryStorage(self._database).hold(row.id, HOLD_SECONDS, only_if_due=False)
        if token is None:
            return []
        there = None if self._unreachable else self._look(row)
        if there is None:
            return self._deliver(row, token=token)
        DeliveryStorage(self._database).confirm(
            row.id, there["id"], number=row.deliveries, token=token
        )
        return []

    def _look(self, row: Prediction) -> Mapping[str, Any] | None:
        """What Label Studio has of it; None also where it cannot be asked."""
        sent = row.delivery.sent if row.delivery else None
        try:
            predictions = self._studios.of(self._project).predictions(row.task_id)
        except (LabelStudioError, NotDeliverable) as error:
            self._unreachable = True
            log.warning(
                "Project %s asks again for task %s, and we cannot look whether it has the "
                "prediction: it gets it once more (%s)",
                self._project.uid,
                row.task_id,
                error,
            )
            return None
        return arrived(predictions, row, sent)

    def _deliver(self, row: Prediction, token: datetime | None) -> Answer:
        sent = as_sent(row, self._control, self._default_label)
        delivered = DeliveryStorage(self._database).deliver(
            row.id,
            "reply",
            sent,
            number=row.deliveries + 1,
            token=token,
            settles_in=REPLY_SETTLES_SECONDS,
            check_in=REPLY_CHECKED_AFTER_SECONDS,
        )
        if delivered is None:
            return []
        log.info("Task %s of project %s: delivered in the reply", row.task_id, row.project_uid)
        return sent


def _queued(rows: Sequence[Prediction]) -> list[int]:
    return sorted({row.id for row in rows if row.status == "queued"})
