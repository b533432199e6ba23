"""Annotations, from an event or pulled through the API, → entries of the verdict log.

The same annotation leads to the same state of the log on either way. An event that says nothing
useful leaves a reason.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from backend.database.connection import Database, now
from backend.labelstudio.label_config import LabelConfigError, keypoint_control
from backend.labelstudio.projects import ProjectStorage, uid_of
from backend.labelstudio.values import listed, moment_of, seconds, user_id, whole_number
from backend.settings import Settings
from backend.suggestions.delivery import as_sent
from backend.suggestions.holdout import HoldoutStorage
from backend.suggestions.storage import PredictionStorage
from backend.verdicts.judging import Shown, Unusable, judge
from backend.verdicts.records import Candidate, Entry, Event, Retraction, Source, State, Unused
from backend.verdicts.storage import VerdictStorage
from model.keypoint import Box

log = logging.getLogger(__name__)

EPOCH = datetime.fromtimestamp(0, UTC)

NO_ANNOTATION = "an event without an annotation"
NO_ID = "an annotation without an id"
NO_TASK = "an annotation without the id of its task"
NO_PROJECT = "an annotation without the id of its project and the moment that was made"
NO_RESULT = "an annotation whose result is not a list of regions"
UNKNOWN_TASK = "an annotation of a task without any prediction"
NOT_DELIVERED = "an annotation made before a suggestion had been delivered"
SECOND = "another prediction of the same version for the task: the nearer one was compared"

# All that counts in an annotation: where one of these changes, it is another state.
COUNTS = ("result", "was_cancelled", "completed_by", "lead_time", "parent_prediction", "task")


class Recorder:
    """Keeps the verdict log up with what Label Studio says; may be run by many at once."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._default_label = settings.default_label
        self._database = database
        self.database = database
        self.log = VerdictStorage(database)
        self._holdouts = HoldoutStorage(database)

    def drain(self) -> int:
        """Bring every event that came so far into the log; how many there were."""
        handled = 0
        while events := self.log.unhandled_events():
            self.log.record([self.entry_of(event) for event in events], now())
            handled += len(events)
        return handled

    def entry_of(self, event: Event) -> Entry:
        """What an event adds to the log."""
        body = event.body if isinstance(event.body, dict) else {}
        project_uid = uid_of(body.get("project"))
        if event.action.endswith("DELETED"):
            return self._deletions(event, body, project_uid)
        states, unused = [], []
        for annotation in listed(body.get("annotation")):
            found = self.state_of(project_uid, annotation, "event")
            if isinstance(found, State):
                states.append(found)
            else:
                unused.append(unused_of(found, annotation, project_uid))
        if not states and not unused:
            unused.append(unused_of(NO_ANNOTATION, body.get("annotation"), project_uid))
        return Entry(event.id, states, (), unused)

    def _deletions(self, event: Event, body: Mapping[str, Any], project_uid: str | None) -> Entry:
        of_tasks = event.action == "TASKS_DELETED"
        named = "tasks" if of_tasks else "annotations"
        deleted = listed(body.get(named, body.get(named[:-1])))
        ids = [
            whole_number(each.get("id") if isinstance(each, Mapping) else each) for each in deleted
        ]
        if project_uid is None or None in ids or not ids:
            reason = NO_PROJECT if project_uid is None else NO_ID
            return Entry(event.id, unused=[unused_of(reason, deleted, project_uid)])
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

    def state_of(self, project_uid: str | None, annotation: object, source: Source) -> State | str:
        """What an annotation says, or why that cannot even be kept."""
        if not isinstance(annotation, Mapping):
            return NO_ANNOTATION
        annotation_id, task_id = (
            whole_number(annotation.get("id")),
            whole_number(annotation.get("task")),
        )
        if annotation_id is None:
            return NO_ID
        if task_id is None:
            return NO_TASK
        if project_uid is None:
            return NO_PROJECT
        made_at = moment_of(annotation.get("created_at")) or EPOCH
        cancelled = annotation.get("was_cancelled") is True
        state = State(
            project_uid=project_uid,
            task_id=task_id,
            annotation_id=annotation_id,
            made_at=made_at,
            updated_at=moment_of(annotation.get("updated_at")) or made_at,
            digest=_digest({name: annotation.get(name) for name in COUNTS}),
            source=source,
            outcome="skipped" if cancelled else "unused",
            annotator=whole_number(user_id(annotation.get("completed_by"))),
            lead_time=seconds(annotation.get("lead_time")),
        )
        result = annotation.get("result")
        if not cancelled and not isinstance(result, list):
            return replace(state, reason=NO_RESULT)
        return self._judged(state, annotation, result if isinstance(result, list) else [])

    def _judged(self, state: State, annotation: Mapping[str, Any], result: list[object]) -> State:
        candidates = self.log.candidates(state.project_uid, state.task_id)
        parent = whole_number(annotation.get("parent_prediction"))
        withheld = self._holdouts.is_withheld(state.project_uid, state.task_id)
        chosen = _seen(candidates, parent, _ids(result), state.made_at, withheld)
        if chosen is None:
            reason = NOT_DELIVERED if candidates else UNKNOWN_TASK
            return state if state.outcome == "skipped" else replace(state, reason=reason)
        detection = chosen.detection
        state = replace(
            state,
            prediction_id=chosen.prediction_id,
            model_version=chosen.model_version,
            score=detection["probability"],
            class_name=detection["class_name"],
            shown=chosen.sent is not None,
            width=detection["width"],
            height=detection["height"],
        )
        if state.outcome == "skipped":
            return state
        try:
            shown = self._shown(state, chosen)
            judgement = judge(shown, result, made_from_it=parent is not None)
        except (Unusable, LabelConfigError) as error:
            return replace(state, reason=str(error))
        others = {
            each.prediction_id
            for each in candidates
            if each.model_version == chosen.model_version and each.sent is not None
        } - {chosen.prediction_id}
        return replace(
            state,
            outcome="judged",
            objects=[
                {
                    "label": each.label,
                    "left": each.box.left,
                    "top": each.box.top,
                    "width": each.box.width,
                    "height": each.box.height,
                }
                for each in judgement.objects
            ],
            verdicts=judgement.verdicts,
            unused=[*judgement.unused, *[SECOND] * len(others)],
        )

    def _shown(self, state: State, chosen: Candidate) -> Shown:
        detection, sent = chosen.detection, chosen.sent
        if sent is None:  # held back: what would have been sent
            project = ProjectStorage(self._database).project(state.project_uid)
            row = PredictionStorage(self._database).prediction(chosen.prediction_id)
            assert project is not None and row is not None
            control = keypoint_control(project.label_config or "")
            sent = as_sent(row, control, self._default_label)
        width, height, box = detection["width"], detection["height"], Box(**detection["box"])
        return Shown(sent["result"], width, height, box)


def _seen(
    candidates: Sequence[Candidate],
    parent: int | None,
    region_ids: set[str],
    made_at: datetime,
    withheld: bool,
) -> Candidate | None:
    """The prediction that an annotation is compared with.

    The one that Label Studio names, else the one that shares most regions, else the last that was
    delivered before the annotation was made, else one that was held back on purpose.
    """
    delivered = [each for each in candidates if each.sent is not None]

    def rank(each: Candidate) -> tuple[bool, int, bool, float, int]:
        assert each.sent is not None and each.delivered_at is not None
        moment = each.delivered_at.timestamp()
        before = each.delivered_at <= made_at
        return (
            parent is not None and each.label_studio_id == parent,
            len(region_ids & _ids(each.sent.get("result") or [])),
            before,
            moment if before else -moment,
            each.prediction_id,
        )

    best = max(delivered, key=rank, default=None)
    if best is not None:
        named, shared, before, *_ = rank(best)
        if named or shared or before or parent is not None:
            return best
    if withheld and not delivered:
        return max(candidates, key=lambda each: each.prediction_id, default=None)
    return None


def unused_of(reason: str, what: object, project_uid: str | None) -> Unused:
    """Why an annotation, or what stands in the place of one, cannot even be kept."""
    task_id = whole_number(what.get("task")) if isinstance(what, Mapping) else None
    return Unused(reason, _digest([reason, project_uid, what]), project_uid, task_id)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _ids(regions: Iterable[object]) -> set[str]:
    return {
        region["id"]
        for region in regions
        if isinstance(region, Mapping) and isinstance(region.get("id"), str)
    }


def annotations_of(tasks: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every annotation of tasks as the API lists them, each with the id of its task."""
    for task in tasks:
        for annotation in listed(task.get("annotations")):
            if isinstance(annotation, Mapping):
                yield {**annotation, "task": annotation.get("task", task.get("id"))}
