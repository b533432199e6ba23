"""Answer `/predict`: request predictions, queue them, wait a while, reply with what is ready."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from redis.exceptions import RedisError
from rq import Queue

from backend.database.connection import Database, now
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.projects import LabelStudios, Project
from backend.labelstudio.schemas import PredictionJson
from backend.labelstudio.shapes import Json
from backend.logs import current_request_id
from backend.outages.breaker import SharedBreaker
from backend.settings import Settings
from backend.suggestions.delivery_storage import DeliverySchedule
from backend.suggestions.finished_watch import FinishedWatch
from backend.suggestions.holdout import HoldoutStorage, is_in_holdout
from backend.suggestions.interactive import InteractiveService
from backend.suggestions.queue import enqueue
from backend.suggestions.records import Prediction, Wanted
from backend.suggestions.reply import Answer, ReplyBuilder
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of

logger = logging.getLogger(__name__)

# A reservation outlasts the wait by the time needed to record the reply.
RESERVATION_MARGIN = timedelta(seconds=5)
# Label Studio hangs up after 100 s. Workers deliver what does not fit into a reply.
LONGEST_ANSWER_SECONDS = 95.0
# Of a large batch, only so many can be ready while a request waits.
MOST_AWAITED = 100


class PredictService:
    """Answers `/predict` requests.

    Some threads of the process never wait for predictions, so that `/health` is always answered.

    Args:
        model_version: returns the version of a project's suggestions, given its uid.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        queue: Queue,
        model_version: Callable[[str], str],
    ) -> None:
        self._settings = settings
        self._database = database
        self._predictions = PredictionStorage(database)
        self._schedule = DeliverySchedule(database)
        self._holdouts = HoldoutStorage(database)
        self._queue = queue
        self._watch = FinishedWatch(self._predictions.finished)
        self._model_version = model_version
        self._studios = LabelStudios(settings, SharedBreaker(database))
        spare = max(1, settings.threads // 4)
        self._waiting_slots = threading.BoundedSemaphore(max(1, settings.threads - spare))
        self._interactive = InteractiveService(
            settings, database, queue, model_version, self._wait_deadline
        )

    def answer(
        self, project: Project, control: KeypointControl, tasks: Sequence[object]
    ) -> list[Answer]:
        """Answer a request of Label Studio; workers deliver what is not ready in time.

        Returns:
            One answer for each task, in their order.
        """
        seconds = (
            self._settings.predict_wait_one
            if len(tasks) == 1
            else self._settings.predict_wait_batch
        )
        reply_deadline = time.monotonic() + LONGEST_ANSWER_SECONDS
        wanted = [wanted_of(task, control) for task in tasks]
        shown = self._without_withheld(project, wanted)
        opened = len(tasks) == 1  # Label Studio sends many at once for a batch alone
        rows = self._request(project, [one for one in shown if one], opened=opened)
        awaited = list({row.id: None for row in rows if row.status == "queued"})[:MOST_AWAITED]
        with self._wait_deadline(seconds) as deadline, self._reserved_for_reply(awaited, deadline):
            if self._enqueue(rows):
                self._watch.wait(awaited, deadline)
            found = [row.id for row in rows if row.status == "ready"] + awaited
            replies = iter(self._replies(project, control, rows, found, deadline, reply_deadline))
        return [next(replies) if one else [] for one in shown]

    def _without_withheld(
        self, project: Project, wanted: Sequence[Wanted | None]
    ) -> list[Wanted | None]:
        """Request and queue the predictions of withheld tasks, which are made but not shown.

        Returns:
            `wanted`, with None in the place of withheld tasks.
        """
        share = self._settings.holdout_share
        withheld = [one for one in wanted if one and is_in_holdout(share, project.uid, one.task_id)]
        if not withheld:
            return list(wanted)
        task_ids = {one.task_id for one in withheld}
        self._holdouts.withhold(project.uid, sorted(task_ids), now())
        self._enqueue(self._request(project, withheld, to_deliver=False))
        return [None if one and one.task_id in task_ids else one for one in wanted]

    def answer_interactive(
        self,
        project: Project,
        control: KeypointControl,
        task: object,
        context: Json,
    ) -> PredictionJson:
        """Answer an annotator who is drawing; see `InteractiveService.answer`."""
        return self._interactive.answer(project, control, task, context)

    def _request(
        self,
        project: Project,
        wanted: list[Wanted],
        *,
        to_deliver: bool = True,
        opened: bool = False,
    ) -> list[Prediction]:
        for one in wanted:
            if one.refusal:
                logger.warning("Task %s of project %s: %s", one.task_id, project.uid, one.refusal)
        pause = timedelta(seconds=self._settings.retry_failed_after)
        return self._predictions.request(
            project.uid,
            self._model_version(project.uid),
            wanted,
            retry_failed_before=now() - pause,
            to_deliver=to_deliver,
            opened=opened,
            request_id=current_request_id(),
        )

    @contextmanager
    def _wait_deadline(self, seconds: float) -> Iterator[float]:
        """Deadline for this thread (monotonic clock). Now if too many threads are waiting."""
        may_wait = self._waiting_slots.acquire(blocking=False)
        try:
            yield time.monotonic() + (seconds if may_wait else 0.0)
        finally:
            if may_wait:
                self._waiting_slots.release()

    @contextmanager
    def _reserved_for_reply(self, ids: Sequence[int], deadline: float) -> Iterator[None]:
        """Inside the block, keep workers from delivering predictions that become ready."""
        seconds = deadline - time.monotonic()
        if not ids or seconds <= 0:
            yield
            return
        until = now() + timedelta(seconds=seconds) + RESERVATION_MARGIN
        self._schedule.reserve_for_reply(ids, until)
        try:
            yield
        finally:
            self._schedule.end_reservation(ids, until)

    def _enqueue(self, rows: Sequence[Prediction]) -> bool:
        """Queue the rows that are not ready; return False if Redis cannot be written to."""
        try:
            enqueue(self._queue, self._settings, rows)
        except RedisError as error:
            logger.error(
                "Redis cannot be written to; workers will queue the tasks when it can: %s", error
            )
            return False
        return True

    def _replies(
        self,
        project: Project,
        control: KeypointControl,
        rows: Sequence[Prediction],
        possible: Sequence[int],
        deadline: float,
        reply_deadline: float,
    ) -> list[Answer]:
        """Return an answer for each row; a repeated row is answered the first time only.

        Args:
            possible: ids of the rows that may be ready.
        """
        builder = ReplyBuilder(
            self._settings, self._database, self._studios, project, control, deadline
        )
        current = {row.id: row for row in self._predictions.predictions(sorted(set(possible)))}
        answers: list[Answer] = []
        for row in rows:
            found = current.pop(row.id, None)
            ready = found if found and found.status == "ready" else None
            in_time = time.monotonic() < reply_deadline
            answers.append(builder.answer(ready) if ready and in_time else [])
        builder.close()
        return answers
