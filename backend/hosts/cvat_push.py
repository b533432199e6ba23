"""Put suggestions into a task of CVAT, and replace those that nobody has touched.

Workers make them, from the same queue and by the same rules as for Label Studio. They go up job by
job and a few frames at a time. On a frame where somebody has begun nothing is changed.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from redis.exceptions import RedisError
from rq import Queue

from backend.database.connection import Database, now
from backend.hosts.cvat_client import Cvat, CvatError
from backend.hosts.cvat_deliveries import deliveries_to
from backend.hosts.cvat_schemas import CvatShape, Job
from backend.hosts.cvat_shapes import (
    AUTO,
    NewShape,
    is_untouched,
    shows_the_same,
    to_shapes,
    with_ids,
)
from backend.hosts.cvat_task import CvatTask, FrameShapes, shapes_by_frame
from backend.labelstudio.projects import Project, ProjectStorage
from backend.labelstudio.schemas import PredictionJson
from backend.labelstudio.shapes import Json, ShapeError, read
from backend.learning.versions import SuggestionVersions
from backend.settings import Settings
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.holdout import HoldoutStorage, is_in_holdout
from backend.suggestions.presentation import Presentation
from backend.suggestions.queue import enqueue
from backend.suggestions.records import Prediction, Wanted
from backend.suggestions.storage import PredictionStorage
from backend.training.registry import ModelRegistry
from backend.verdicts.candidate_storage import CandidateStorage

logger = logging.getLogger(__name__)

FRAMES_AT_ONCE = 50  # in one request to CVAT
POLL_SECONDS = 0.5
LEASE_SECONDS = 60.0
ROUNDS = 5  # so often the version of the suggestions may change meanwhile

Outcome = Literal["new", "empty", "replaced", "same", "begun", "done", "withheld", "failed"]
Frames = dict[int, FrameShapes]
# Is told how many of the predictions are made, and how many there are.
Watch = Callable[[int, int], None]


@dataclass
class PushSummary:
    """What became of the frames of a task.

    Attributes:
        outcomes: outcome → frames; a frame of two jobs counts twice.
        reasons: why predictions failed → frames.
    """

    version: str = ""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be changed on a frame of a job."""

    row: Prediction
    sent: PredictionJson
    new: tuple[NewShape, ...]
    old: tuple[Json, ...]


class CvatPush:
    """Puts suggestions into the tasks of a CVAT."""

    def __init__(
        self, settings: Settings, database: Database, queue: Queue, cvat: Cvat, watch: Watch
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._cvat = cvat
        self._watch = watch
        self._projects = ProjectStorage(database)
        self._predictions = PredictionStorage(database)
        self._deliveries = DeliveryStorage(database)
        self._candidates = CandidateStorage(database)
        self._holdouts = HoldoutStorage(database)
        self._presentation = Presentation(settings, database)
        models = ModelRegistry(settings, database)
        self._versions = SuggestionVersions(settings, database, models)

    def run(self, task: CvatTask) -> PushSummary:
        """Request the suggestions that are missing, wait for them, and bring each frame up to date.

        Raises:
            CvatError: CVAT cannot be asked; what was put there before stays, and is recorded.
        """
        self._projects.save_label_config(task.uid, task.labels.config())
        summary = PushSummary()
        open_frames: set[int] = set()
        for job in task.jobs:
            frames = self._frames(task, job)
            found = {n: self._untouched(task, job, n, frames) for n in task.frames_of(job)}
            open_frames |= {n for n, untouched in found.items() if untouched and not job.is_done}
        rows = self._made(task, sorted(open_frames), summary)
        for job in task.jobs:
            self._push_job(task, job, rows, summary)
        return summary

    def _frames(self, task: CvatTask, job: Job) -> Frames:
        return shapes_by_frame(self._cvat.annotations(job.id), task.labels)

    def _untouched(self, task: CvatTask, job: Job, number: int, frames: Frames) -> bool:
        """Return whether nobody has begun on a frame of a job, given what is on its frames."""
        here = frames.get(number, FrameShapes())
        if here.has_track:
            return False
        return is_untouched(here.shapes, task.labels, self._last_sent(task, job, number))

    def _last_sent(self, task: CvatTask, job: Job, number: int) -> Sequence[Json] | None:
        """Return the regions that a frame of a job got last; None if it never got any."""
        of_frame = self._candidates.candidates(task.uid, task.number_of(number))
        sent = deliveries_to(of_frame, job)
        return sent[-1]["result"] if sent else None

    # Predictions

    def _made(
        self, task: CvatTask, frames: Sequence[int], summary: PushSummary
    ) -> dict[int, Prediction]:
        """Return the prediction of each frame that has one; those withheld are made as well."""
        share, rows = self._settings.holdout_share, dict[int, Prediction]()
        withheld = [n for n in frames if is_in_holdout(share, task.uid, task.number_of(n))]
        self._holdouts.withhold(task.uid, [task.number_of(n) for n in withheld], now())
        for _ in range(ROUNDS):
            summary.version = self._versions.current(task.uid)
            rows = self._wait(self._request(task, frames, summary.version), frames)
            # An old version is given up if the project has learnt something meanwhile.
            if self._versions.current(task.uid) == summary.version:
                break
        return rows

    def _request(self, task: CvatTask, frames: Sequence[int], version: str) -> list[Prediction]:
        wanted = [_wanted(task, number) for number in frames]
        rows = self._predictions.request(
            task.uid, version, wanted, retry_failed_before=now(), to_deliver=False
        )
        try:
            enqueue(self._queue, self._settings, rows)
        except RedisError as error:
            logger.warning("Workers queue the frames when Redis can be reached: %s", error)
        return rows

    def _wait(self, rows: Sequence[Prediction], frames: Sequence[int]) -> dict[int, Prediction]:
        ids = [row.id for row in rows]
        while True:
            done = self._predictions.finished(ids)
            self._watch(len(done), len(ids))
            if len(done) == len(ids):
                break
            time.sleep(POLL_SECONDS)
        found = {row.id: row for row in self._predictions.predictions(ids)}
        return {frame: found[key] for frame, key in zip(frames, ids, strict=True)}

    # CVAT

    def _push_job(
        self, task: CvatTask, job: Job, rows: dict[int, Prediction], summary: PushSummary
    ) -> None:
        if job.is_done:
            summary.outcomes["done"] += len(list(task.frames_of(job)))
            return
        project = self._projects.project(task.uid)
        assert project is not None, "it was saved before"
        all_numbers = list(task.frames_of(job))
        for start in range(0, len(all_numbers), FRAMES_AT_ONCE):
            numbers = all_numbers[start : start + FRAMES_AT_ONCE]
            frames = self._frames(task, job)  # as they are now: somebody may have begun
            changes = list(self._changes(task, job, project, numbers, frames, rows, summary))
            if changes:
                self._apply(job, changes)

    def _changes(
        self,
        task: CvatTask,
        job: Job,
        project: Project,
        numbers: Sequence[int],
        frames: Frames,
        rows: dict[int, Prediction],
        summary: PushSummary,
    ) -> Iterator[_Change]:
        """Yield the changes of frames, and count what becomes of all of them."""
        for number in numbers:
            row, here = rows.get(number), frames.get(number, FrameShapes())
            if row is None or not self._untouched(task, job, number, frames):
                summary.outcomes["begun"] += 1
            elif self._holdouts.is_withheld(task.uid, row.task_id):
                summary.outcomes["withheld"] += 1
            elif row.status != "ready":
                summary.outcomes["failed"] += 1
                summary.reasons[row.reason or "no reason is known"] += 1
            else:
                sent = self._presentation.as_sent(row, project, task.labels.control())
                is_known = row.delivery is not None
                if is_known and shows_the_same(here.shapes, task.labels, sent["result"]):
                    summary.outcomes["same"] += 1
                    continue
                new = tuple(to_shapes(sent["result"], task.labels, number))
                summary.outcomes["replaced" if here.shapes else "new" if new else "empty"] += 1
                yield _Change(row, sent, new, here.raw)

    def _apply(self, job: Job, changes: Sequence[_Change]) -> None:
        """Create the new shapes of some frames, record them, and delete those they replace.

        In this order, so that no frame loses its suggestions where something fails in between. What
        was created and not recorded is replaced by the next push, as nobody has touched it. What
        somebody has changed meanwhile is not deleted.
        """
        new = [_with_source(each.json) for change in changes for each in change.new]
        made = self._created(job, new)
        for change in changes:
            mine, made = made[: len(change.new)], made[len(change.new) :]
            result = with_ids(change.sent["result"], change.new, mine)
            self._record(job, change.row, {**change.sent, "result": result})
        if any(change.old for change in changes):
            there = self._cvat.annotations(job.id).shapes
            old = [raw for change in changes for raw in change.old if raw in there]
            if old:
                self._cvat.change(job.id, "delete", old)

    def _created(self, job: Job, new: Sequence[Json]) -> list[CvatShape]:
        if not new:
            return []
        answer = self._cvat.change(job.id, "create", new).shapes
        if len(answer) != len(new):
            raise CvatError(
                f"expected CVAT to store {len(new)} shapes in job {job.id}, got {len(answer)}"
            )
        try:
            return [read(CvatShape, raw) for raw in answer]
        except ShapeError as error:
            raise CvatError(f"{error}, in the shapes that CVAT stored in job {job.id}") from None

    def _record(self, job: Job, row: Prediction, sent: PredictionJson) -> None:
        """Store what a frame of a job got, so that a pull can compare it with what it becomes."""
        current = self._predictions.prediction(row.id)
        number = (current.deliveries if current else 0) + 1
        lease = self._deliveries.record_delivery(
            row.id,
            "push",
            sent,
            number=number,
            lease=None,
            settles_in=LEASE_SECONDS,
            check_in=LEASE_SECONDS,
        )
        if lease is None:
            raise CvatError(
                f"expected to be the only push, but another one has put suggestions on frame "
                f"{row.task_id} at this moment: wait until it has ended, and push again"
            )
        self._deliveries.confirm(lease, job.id, number=number)


def _wanted(task: CvatTask, frame: int) -> Wanted:
    """Return the prediction that a frame requires."""
    address = task.image_of(frame)
    return Wanted(task.number_of(frame), address, sha256(address.encode()).hexdigest(), {})


def _with_source(shape: Json) -> Json:
    """Return a shape that says that a program made it."""
    elements = [{**each, "source": AUTO} for each in shape.get("elements", [])]
    return {**shape, "source": AUTO} | ({"elements": elements} if elements else {})
