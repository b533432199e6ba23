"""Read the annotations of a task of CVAT back, as entries of the verdict log.

A frame of a job becomes an annotation such as Label Studio sends, and goes the same way from there:
`verdicts.recording` compares it with what the frame got. Only jobs whose annotator has finished
count, because CVAT does not say which frames of an open job somebody has looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from backend.database.connection import Database, now
from backend.hosts.cvat_client import Cvat
from backend.hosts.cvat_deliveries import deliveries_to
from backend.hosts.cvat_labels import IMAGE
from backend.hosts.cvat_schemas import Job
from backend.hosts.cvat_shapes import to_regions
from backend.hosts.cvat_task import MOST_FRAMES, CvatTask, FrameShapes, shapes_by_frame
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.schemas import Task
from backend.labelstudio.shapes import Json
from backend.settings import Settings
from backend.verdicts.candidate_storage import CandidateStorage
from backend.verdicts.pull_storage import KnownState, PullStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Retraction, State, SyncRun

BATCH = 20  # annotations per transaction; others write in between


@dataclass(frozen=True, slots=True)
class PullSummary:
    """What a pull found.

    Attributes:
        run: the numbers of annotations, as of a pull from Label Studio.
        done, jobs: jobs whose annotator has finished, and all.
        tracks: frames at which a track begins, which cannot be compared.
    """

    run: SyncRun
    done: int
    jobs: int
    tracks: int


class CvatPull:
    """Brings the annotations of CVAT's tasks into the verdict log."""

    def __init__(self, settings: Settings, database: Database, cvat: Cvat) -> None:
        self._cvat = cvat
        self._recorder = Recorder(settings, database)
        self._verdicts = self._recorder.verdicts
        self._candidates = CandidateStorage(database)
        self._projects = ProjectStorage(database)
        self._pulls = PullStorage(database)

    def run(self, task: CvatTask) -> PullSummary:
        """Add what the log lacks; a second call in a row adds nothing.

        Raises:
            CvatError: CVAT cannot be asked; the jobs that were read before stay in the log.
        """
        started = now()
        if self._projects.project(task.uid) is None:  # a push may have chosen some of the labels
            self._projects.save_label_config(task.uid, task.labels.config())
        known = self._pulls.known_states(
            task.uid, task.number_of(0) - 1, task.number_of(MOST_FRAMES - 1)
        )
        done = [job for job in task.jobs if job.is_done]
        added = annotations = tracks = 0
        for job in done:
            frames = shapes_by_frame(self._cvat.annotations(job.id), task.labels)
            tracks += sum(here.has_track for here in frames.values())
            states = list(self._states(task, job, frames, known))
            annotations += len(states)
            # CVAT knows when a job was changed, not which of its frames.
            new = [state for state in states if not _is_known(state, known)]
            added += self._record([Entry(states=[state]) for state in new])
        gone = self._retractions(task, known, started)
        retracted = self._verdicts.record(gone, now())[1]
        run = SyncRun(task.uid, started, annotations, added, retracted)
        self._pulls.add_sync_run(run)
        return PullSummary(run, len(done), len(task.jobs), tracks)

    def _record(self, entries: Sequence[Entry]) -> int:
        batches = [entries[start : start + BATCH] for start in range(0, len(entries), BATCH)]
        return sum(self._verdicts.record(batch, now())[0] for batch in batches)

    def _states(
        self,
        task: CvatTask,
        job: Job,
        frames: dict[int, FrameShapes],
        known: dict[int, KnownState],
    ) -> Iterator[State]:
        for number in task.frames_of(job):
            here = frames.get(number, FrameShapes())
            if here.has_track:
                continue
            before = known.get(_annotation_id(job, number))
            raw = self._annotation(task, job, number, here, before.made_at if before else None)
            of_ours = Task(id=task.number_of(number), data={IMAGE: task.image_of(number)})
            state = self._recorder.state_of(task.uid, raw, "sync", {of_ours.id: of_ours})
            assert isinstance(state, State), "it has an id, a task and a project"
            yield state

    def _annotation(
        self,
        task: CvatTask,
        job: Job,
        number: int,
        here: FrameShapes,
        made_at: datetime | None,
    ) -> Json:
        """Return a frame of a job as an annotation in Label Studio's JSON."""
        candidates = self._candidates.candidates(task.uid, task.number_of(number))
        sent = deliveries_to(candidates, job)
        delivered = [each.delivered_at for each in candidates if each.delivered_at is not None]
        # A job is older than its suggestions, but an annotation of them is not.
        changed = max([job.updated_date, *delivered])
        frame = task.frames[number]
        regions = to_regions(
            here.shapes,
            task.labels,
            task.labels.control(),
            (frame.width, frame.height),
            sent[-1]["result"] if sent else (),
        )
        return {
            "id": _annotation_id(job, number),
            "task": task.number_of(number),
            "created_at": (made_at or changed).isoformat(),
            "updated_at": changed.isoformat(),
            "completed_by": _annotator(job),
            "parent_prediction": job.id if sent else None,
            "result": regions,
        }

    def _retractions(
        self, task: CvatTask, known: dict[int, KnownState], moment: datetime
    ) -> list[Entry]:
        """Return that annotations of jobs and frames that no longer exist were deleted."""
        existing = {
            _annotation_id(job, number) for job in task.jobs for number in task.frames_of(job)
        }
        return [
            Entry(retractions=[Retraction(task.uid, annotation_id, None, moment, "sync")])
            for annotation_id in sorted(known.keys() - existing)
        ]


def _annotator(job: Job) -> int | None:
    """Return the number of the annotator: negative, as nobody in Label Studio has such a one."""
    return None if job.assignee is None else -job.assignee


def _is_known(state: State, known: Mapping[int, KnownState]) -> bool:
    before = known.get(state.annotation_id)
    return before is not None and before.digest == state.digest


def _annotation_id(job: Job, frame: int) -> int:
    return job.id * MOST_FRAMES + frame
