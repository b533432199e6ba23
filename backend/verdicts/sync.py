"""Pull annotations through Label Studio's API: the truth, when an event was lost."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backend.database.connection import Database, now
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.projects import (
    LabelStudios,
    NotDeliverable,
    ProjectStorage,
    project_id_of,
    uid_of,
)
from backend.settings import Settings
from backend.verdicts.recording import Recorder, annotations_of, unused_of
from backend.verdicts.records import Entry, Retraction, State

log = logging.getLogger(__name__)

BATCH = 200


@dataclass(frozen=True, slots=True)
class Pulled:
    """What the pull of one project brought.

    Attributes:
        annotations: how many Label Studio has.
        added: states of annotations that the log did not have.
        retracted: annotations that are no longer there.
        problem: why the project could not be pulled.
    """

    project_uid: str
    annotations: int = 0
    added: int = 0
    retracted: int = 0
    problem: str | None = None


def sync(settings: Settings, database: Database, project: str | None = None) -> list[Pulled]:
    """Fill in whatever the log lacks; run twice, the second time adds nothing.

    Args:
        project: id or uid of one; None for every project that is known.
    """
    recorder, studios = Recorder(settings, database), LabelStudios(settings)
    pulled = []
    for uid in ProjectStorage(database).project_uids():
        if project is None or project in (uid, str(project_id_of(uid))):
            pulled.append(_pull_noted(recorder, studios, database, uid))
    return pulled


def sync_due(settings: Settings, database: Database) -> bool:
    """Sync where the last time is `SYNC_EVERY` ago; whether it was. For a worker to call often."""
    if settings.sync_every <= 0:
        return False
    recorder, studios = Recorder(settings, database), LabelStudios(settings)
    before = now() - timedelta(seconds=settings.sync_every)
    due = [uid for uid in ProjectStorage(database).project_uids() if _is_due(recorder, uid, before)]
    for uid in due:
        _pull_noted(recorder, studios, database, uid)
    return bool(due)


def _is_due(recorder: Recorder, uid: str, before: datetime) -> bool:
    last = recorder.log.last_sync(uid)
    return last is None or last.started_at < before


def _pull_noted(recorder: Recorder, studios: LabelStudios, database: Database, uid: str) -> Pulled:
    started = now()
    project = ProjectStorage(database).project(uid)
    try:
        assert project is not None
        pulled = _pull(recorder, studios.of(project), uid, started)
    except (LabelStudioError, NotDeliverable) as error:
        log.warning("Project %s: its annotations cannot be pulled: %s", uid, error)
        pulled = Pulled(uid, problem=str(error))
    recorder.log.note_sync(
        project_uid=uid,
        started_at=started,
        annotations=pulled.annotations,
        added=pulled.added,
        retracted=pulled.retracted,
        problem=pulled.problem,
    )
    return pulled


def _pull(recorder: Recorder, client: LabelStudio, uid: str, started: datetime) -> Pulled:
    project_id = project_id_of(uid)
    try:
        there = uid_of(client.project(project_id)) if project_id is not None else None
    except LabelStudioError as error:
        if error.status != 404:
            raise
        there = None
    if project_id is None or there != uid:
        # What its annotators did stays in the log.
        return Pulled(uid, problem="the project is no longer in Label Studio")
    recorder.drain()  # so that what events brought counts as brought by them
    known, gone = recorder.log.known_annotations(uid), recorder.log.retracted(uid)
    seen: set[int] = set()
    total = added = retracted = 0
    batch: list[Entry] = []
    for annotation in annotations_of(client.tasks(project_id)):
        total += 1
        entry, annotation_id = _entry(recorder, uid, annotation, gone, started)
        seen |= annotation_id
        batch.append(entry)
        if len(batch) == BATCH:
            added += recorder.log.record(batch, now())[0]
            batch = []
    missing = [
        Entry(retractions=[Retraction(uid, annotation_id, None, started, "sync")])
        for annotation_id, made_at in known.items()
        if annotation_id not in seen and made_at < started and _is_gone(client, annotation_id)
    ]
    added += recorder.log.record(batch, now())[0]
    retracted = recorder.log.record(missing, now())[1]
    return Pulled(uid, total, added, retracted)


def _entry(
    recorder: Recorder,
    uid: str,
    annotation: Mapping[str, Any],
    gone: set[tuple[int, datetime]],
    started: datetime,
) -> tuple[Entry, set[int]]:
    found = recorder.state_of(uid, annotation, "sync")
    if not isinstance(found, State):
        return Entry(unused=[unused_of(found, annotation, uid)]), set()
    back = []
    if (found.annotation_id, found.made_at) in gone:
        back = [Retraction(uid, found.annotation_id, None, started, "sync", deleted=False)]
    return Entry(states=[found], retractions=back), {found.annotation_id}


def _is_gone(client: LabelStudio, annotation_id: int) -> bool:
    """Ask for one: tasks that are deleted during a pull may shift others past it."""
    try:
        client.get(f"/api/annotations/{annotation_id}/")
    except LabelStudioError as error:
        if error.status == 404:
            return True
        raise
    return False
