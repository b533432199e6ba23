"""Turn annotations, from an event or from Label Studio's API, into entries of the verdict log.

Both sources give the same state for the same annotation. An event without a state is recorded with
the reason.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from backend.database.connection import Database, now
from backend.labelstudio.errors import lies_outside
from backend.labelstudio.label_config import LabelConfigError
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.schemas import Annotation, EventBody, Task, TaskReference, deleted_ids
from backend.labelstudio.shapes import Json, ShapeError, one_or_many, read, read_each, read_or_none
from backend.settings import Settings
from backend.suggestions.holdout import HoldoutStorage
from backend.verdicts.candidate_storage import CandidateStorage
from backend.verdicts.candidates import (
    compared_prediction,
    count_others,
    region_ids,
    shares_a_region,
)
from backend.verdicts.comparing import Comparisons, states_on
from backend.verdicts.digests import digest_of, sha256_of_json
from backend.verdicts.images import with_drawings
from backend.verdicts.records import (
    AnnotationKey,
    Entry,
    Event,
    Retraction,
    Source,
    State,
    Unused,
)
from backend.verdicts.set_aside_storage import SetAsideStorage
from backend.verdicts.storage import EventStorage, VerdictStorage

logger = logging.getLogger(__name__)

# Label Studio waits one second for an event to be stored, and SQLite lets one transaction write at
# a time: so few events are recorded in one, and others get their turn after it.
RECORDED_AT_ONCE = 20
PAUSE_SECONDS = 0.025

EPOCH = datetime.fromtimestamp(0, UTC)

NO_ANNOTATION = "an event without an annotation"
NO_ID = "an annotation without an id"
NO_TASK = "an annotation without the id of its task"
NO_PROJECT = "an annotation without the id of its project and the moment that was made"
NO_RESULT = "an annotation whose result is not a list of regions"
UNKNOWN_TASK = "an annotation of a task without any prediction"
NOT_DELIVERED = "an annotation made before a suggestion had been delivered"
UNHANDLED = "an annotation that this version of the program cannot handle"
SECOND = "another prediction of the same version for the task: the nearer one was compared"

# Field at fault → reason.
_MALFORMED = {None: NO_ANNOTATION, "id": NO_ID, "task": NO_TASK}


class Recorder:
    """Brings the verdict log up to date; several processes may do so at once."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._events = EventStorage(database)
        self._set_aside_events = SetAsideStorage(database)
        self._projects = ProjectStorage(database)
        self._holdouts = HoldoutStorage(database)
        self._comparisons = Comparisons(settings, database)
        self._candidates = CandidateStorage(database)
        self.database = database
        self.verdicts = VerdictStorage(database)
        # The prediction that an annotation began as, for events that are not recorded yet.
        self._origins: dict[AnnotationKey, int] = {}

    def drain(self) -> int:
        """Bring every stored event into the log, and return how many there were."""
        handled = 0
        while events := self._events.unhandled():
            entries = [entry for event in events if (entry := self._entry_or_none(event))]
            for start in range(0, len(entries), RECORDED_AT_ONCE):
                if start:
                    time.sleep(PAUSE_SECONDS)
                self._record(entries[start : start + RECORDED_AT_ONCE])
            self._origins.clear()
            handled += len(events)
        return handled

    def _entry_or_none(self, event: Event) -> Entry | None:
        """Return what an event adds to the log; None if it cannot be handled and is set aside."""
        try:
            return self.entry_of(event)
        except Exception as error:
            self._set_aside(event.id, error)
            return None

    def _record(self, entries: Sequence[Entry]) -> None:
        """Record all entries at once, or one by one, without those that the database refuses."""
        try:
            self.verdicts.record(entries, now())
        except Exception as error:
            if lies_outside(error):
                raise
            for entry in entries:
                self._record_one(entry)

    def _record_one(self, entry: Entry) -> None:
        try:
            self.verdicts.record([entry], now())
        except Exception as error:
            assert entry.event_id is not None, "an event's entry has its id"
            self._set_aside(entry.event_id, error)

    def _set_aside(self, event_id: int, error: Exception) -> None:
        """Set an event aside with its reason, so that those behind it are handled.

        Raises:
            Exception: the error, if it lies outside of the event: all wait until it has passed.
        """
        if lies_outside(error):
            raise error
        logger.error("Event %d cannot be handled and is set aside", event_id, exc_info=error)
        self._set_aside_events.set_aside(event_id, f"{type(error).__name__}: {error}")

    def entry_of(self, event: Event) -> Entry:
        """Return what an event adds to the log."""
        body = event.body if isinstance(event.body, dict) else {}
        project = read(EventBody, body).project
        project_uid = project.uid if project else None
        if event.action.endswith("DELETED"):
            return _deletions(event, body, project_uid)
        annotations = one_or_many(body.get("annotation"))
        tasks = {task.id: task for task in read_each(Task, one_or_many(body.get("task")))}
        found = [
            self.state_of(project_uid, annotation, "event", tasks) for annotation in annotations
        ]
        for each in found:
            if isinstance(each, State) and each.begun and each.prediction_id is not None:
                self._origins.setdefault(each.annotation, each.prediction_id)
        unused = [each for each in found if isinstance(each, Unused)]
        if not annotations:
            unused = [unused_of(NO_ANNOTATION, body.get("annotation"), project_uid)]
        return Entry(event.id, [each for each in found if isinstance(each, State)], (), unused)

    def state_of(
        self,
        project_uid: str | None,
        raw: object,
        source: Source,
        tasks: Mapping[int, Task] = MappingProxyType({}),
    ) -> State | Unused:
        """Return the state of an annotation, or why there is none.

        Args:
            raw: JSON of the annotation.
            tasks: its task, by its id, if it came along.
        """
        try:
            annotation = read(Annotation, raw)
        except ShapeError as error:
            return unused_of(_MALFORMED[error.field], raw, project_uid)
        if project_uid is None:
            return unused_of(NO_PROJECT, raw, project_uid)
        made_at = annotation.created_at or EPOCH
        state = State(
            project_uid=project_uid,
            task_id=annotation.task,
            annotation_id=annotation.id,
            made_at=made_at,
            updated_at=annotation.updated_at or made_at,
            digest=digest_of(annotation),
            source=source,
            outcome="skipped" if annotation.was_cancelled else "unused",
            annotator=annotation.completed_by,
            updated_by=annotation.updated_by,
            lead_time=annotation.lead_time,
        )
        if annotation.result is None and not annotation.was_cancelled:
            return replace(state, reason=NO_RESULT)
        return self._compared(state, annotation, tasks.get(state.task_id))

    def _compared(self, state: State, annotation: Annotation, task: Task | None) -> State:
        """Return a state with the prediction it is compared with, and the verdicts."""
        result, parent = annotation.result or [], annotation.parent_prediction
        candidates = self._candidates.candidates(state.project_uid, state.task_id)
        withheld = self._holdouts.is_withheld(state.project_uid, state.task_id)
        origin = self._origins.get(state.annotation) or self.verdicts.origin(state.annotation)
        chosen = compared_prediction(
            candidates, parent, origin, region_ids(result), state, withheld
        )
        if chosen is None:
            reason = NOT_DELIVERED if candidates else UNKNOWN_TASK
            if state.outcome == "skipped":
                return state
            return self._with_drawings(replace(state, reason=reason), result, task)
        begun = chosen.sent is not None and (
            parent is not None or origin is not None or shares_a_region(result, chosen)
        )
        state = replace(
            state,
            begun=begun,
            prediction_id=chosen.prediction_id,
            model_version=chosen.model_version,
            shown=chosen.sent is not None,
        )
        if state.outcome == "skipped":
            return states_on(state, chosen)[0]
        found = self._comparisons.compared(state, chosen, result)
        if found.outcome == "unused" and not found.further:
            return found
        second = [SECOND] * count_others(candidates, chosen)
        return replace(found, unused=[*found.unused, *second])

    def _with_drawings(self, state: State, result: Sequence[object], task: Task | None) -> State:
        """Return a state with what can be learnt although it is compared with nothing."""
        project = self._projects.project(state.project_uid)
        if task is None or project is None:
            return state
        try:
            return with_drawings(state, result, task, project)
        except LabelConfigError:
            return state


def _deletions(event: Event, body: Json, project_uid: str | None) -> Entry:
    of_tasks = event.action == "TASKS_DELETED"
    named = "tasks" if of_tasks else "annotations"
    deleted = one_or_many(body.get(named, body.get(named[:-1])))
    if project_uid is None:
        return Entry(event.id, unused=[unused_of(NO_PROJECT, deleted, project_uid)])
    try:
        ids = deleted_ids(deleted)
    except ShapeError:
        return Entry(event.id, unused=[unused_of(NO_ID, deleted, project_uid)])
    retractions = [
        Retraction(
            project_uid,
            annotation_id=None if of_tasks else one,
            task_id=one if of_tasks else None,
            at=event.received_at,
            source="event",
        )
        for one in ids
    ]
    return Entry(event.id, retractions=retractions)


def unused_of(reason: str, raw: object, project_uid: str | None) -> Unused:
    """Return the record of an annotation, or of other JSON in its place, that makes no state."""
    named = read_or_none(TaskReference, raw)
    return Unused(
        reason,
        sha256_of_json([reason, project_uid, raw]),
        project_uid,
        named.task if named else None,
    )
