"""SQL that passes the current states of changed annotations on to the learning.

`VerdictStorage.record` notes each change in the transaction that makes it, so none is lost. Passing
on computes the state that counts now, so neither order nor repetition matters.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, or_, select

from backend.database.connection import Database
from backend.labelstudio.errors import lies_outside
from backend.labelstudio.label_config import (
    KeypointControl,
    LabelConfigError,
    keypoint_control,
)
from backend.labelstudio.projects import ProjectStorage
from backend.learning.records import Lesson, searched_part
from backend.learning.selection_storage import CANDIDATES
from backend.learning.storage import ExampleStorage, replace_lessons
from backend.learning.tables import examples
from backend.suggestions.listed import has_box
from backend.suggestions.queries import image_of_state, of_image
from backend.suggestions.records import detection_from_json
from backend.suggestions.several_images import part_about
from backend.suggestions.tables import prediction_images, predictions
from backend.verdicts.drawings import drawing_from_json, state_of_drawing
from backend.verdicts.lessons import FinalPoint, FinalState, lessons_of
from backend.verdicts.queries import not_retracted
from backend.verdicts.tables import changed_annotations, drawings, states, verdicts
from model.keypoint import Box

logger = logging.getLogger(__name__)

# SQLite lets one transaction write at a time, and Label Studio waits one second for an event to be
# stored: so a transaction passes on few changes, and others get their turn after it.
BATCH = 10
PAUSE_SECONDS = 0.025
TEACHES = or_(states.c.outcome == "judged", drawings.c.state_id.is_not(None))

Annotation = tuple[str, int]  # project uid and id


class LessonStorage:
    """Passes the annotations of the log on to the learning.

    Args:
        limit: largest number of examples a project; see `replace_lessons`.
    """

    def __init__(self, database: Database, *, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._projects = ProjectStorage(database)
        self._examples = ExampleStorage(database, limit=limit)

    def pass_on(self) -> int:
        """Pass on every change that was noted, and return how many there were.

        Several processes may do so at once.
        """
        count = 0
        projects: set[str] = set()
        while done := self._pass_on_batch(projects):
            count += done
            if done == BATCH:
                time.sleep(PAUSE_SECONDS)
        for project_uid in sorted(projects):
            self._examples.select(project_uid)
        return count

    def note_project(self, project_uid: str) -> int:
        """Note the annotations of a project as changed: those that are learnt, and the newest.

        Not all, because only so many examples are kept: those whose layouts differ most.

        Returns:
            How many there are.
        """
        newest = (
            select(states.c.annotation_id)
            .outerjoin(drawings, drawings.c.state_id == states.c.id)
            .where(states.c.project_uid == project_uid, TEACHES)
            .group_by(states.c.annotation_id)
            .order_by(func.max(states.c.id).desc())
            .limit(CANDIDATES * self._limit)
        )
        learnt = select(examples.c.annotation_id).where(examples.c.project_uid == project_uid)
        with self._database.writing() as connection:
            ids = {*connection.scalars(newest), *connection.scalars(learnt)}
            rows = [{"project_uid": project_uid, "annotation_id": each} for each in sorted(ids)]
            if rows:
                connection.execute(changed_annotations.insert(), rows)
        return len(rows)

    def _pass_on_batch(self, projects: set[str]) -> int:
        """Pass on some changes, and add the projects that they concern."""
        with self._database.writing() as connection:
            # Another process that passes on waits here, and then finds the states of now.
            rows = connection.execute(
                select(changed_annotations)
                .order_by(changed_annotations.c.id)
                .limit(BATCH)
                .with_for_update()
            ).all()
            controls = {row.project_uid: self._control(row.project_uid) for row in rows}
            for project_uid, annotation_id in sorted(_annotations(connection, rows)):
                self._replace(connection, project_uid, annotation_id, controls[project_uid])
                projects.add(project_uid)
            ids = [row.id for row in rows]
            connection.execute(delete(changed_annotations).where(changed_annotations.c.id.in_(ids)))
        return len(rows)

    def _replace(
        self,
        connection: Connection,
        project_uid: str,
        annotation_id: int,
        control: KeypointControl | None,
    ) -> None:
        """Pass on one annotation; one that cannot be learnt from does not hold up the others."""
        try:
            with connection.begin_nested():
                lessons = _lessons(connection, project_uid, annotation_id, control)
                replace_lessons(connection, project_uid, annotation_id, lessons, limit=self._limit)
        except Exception as error:
            if lies_outside(error):
                raise
            logger.exception(
                "Annotation %s of project %s cannot be learnt from", annotation_id, project_uid
            )

    def _control(self, project_uid: str) -> KeypointControl | None:
        """Return the control of a project's configuration; None if it cannot be read."""
        project = self._projects.project(project_uid)
        try:
            return keypoint_control((project and project.label_config) or "")
        except LabelConfigError:
            return None


def _lessons(
    connection: Connection,
    project_uid: str,
    annotation_id: int,
    control: KeypointControl | None,
) -> dict[datetime, list[Lesson]]:
    """Return what each annotation that has had this id teaches, by when it was made."""
    found: dict[datetime, list[Lesson]] = {}
    for row in _current(connection, project_uid, annotation_id):
        state = _final_state(connection, row)
        if state is not None:
            found.setdefault(row.made_at, []).extend(lessons_of(state, _labels(row, control)))
    return found


def _labels(row: Row[Any], control: KeypointControl | None) -> Sequence[str]:
    """Return the labels of the configuration for the image of a state."""
    own = control and control.on(row.to_name)
    if control and row.to_name is None and row.image_number:  # compared with nothing
        own = next(iter(control.of_images[row.image_number :]), None)
    return own.labels if own else ()


def _annotations(connection: Connection, rows: Sequence[Row[Any]]) -> set[Annotation]:
    """Return the annotations that changes concern; a change may concern a whole task."""
    found = {(row.project_uid, row.annotation_id) for row in rows if row.annotation_id is not None}
    for row in rows:
        if row.task_id is not None:
            query = select(states.c.annotation_id).where(
                states.c.project_uid == row.project_uid, states.c.task_id == row.task_id
            )
            found |= {(row.project_uid, number) for number in connection.scalars(query)}
    return found


def _current(connection: Connection, project_uid: str, annotation_id: int) -> list[Row[Any]]:
    """Return the newest state of each annotation with this id that was not deleted.

    One for each image of its task.
    """
    about = (of_image("image_url").label("image_url"), of_image("detection").label("detection"))
    query = (
        select(states, *about, predictions.c.task, prediction_images.c.to_name)
        .outerjoin(predictions, predictions.c.id == states.c.prediction_id)
        .outerjoin(prediction_images, image_of_state(states))
        .where(
            states.c.project_uid == project_uid,
            states.c.annotation_id == annotation_id,
            not_retracted(states),
        )
        .order_by(states.c.made_at, states.c.updated_at, states.c.id)
    )
    newest: dict[datetime, dict[int | None, Row[Any]]] = {}
    for row in connection.execute(query):
        saved = newest.get(row.made_at, {})
        together = any(each.updated_at == row.updated_at for each in saved.values())
        newest[row.made_at] = (saved if together else {}) | {row.image_number: row}
    return [row for saved in newest.values() for row in saved.values()]


def _final_state(connection: Connection, row: Row[Any]) -> FinalState | None:
    """Return the state of an annotation that counts; None if it says nothing."""
    if row.outcome == "judged":
        return _judged_state(connection, row)
    drawn = connection.execute(select(drawings).where(drawings.c.state_id == row.id)).one_or_none()
    if row.outcome == "skipped" or drawn is None:
        return None
    values = dict(drawn._mapping)
    del values["state_id"]
    found = state_of_drawing(row.task_id, drawing_from_json(values))
    return replace(found, image_number=row.image_number or 0)


def _judged_state(connection: Connection, row: Row[Any]) -> FinalState:
    points = connection.execute(
        select(verdicts).where(
            verdicts.c.state_id == row.id,
            verdicts.c.kind == "point",
            verdicts.c.final_x.is_not(None),
        )
    )
    detection = detection_from_json(row.detection)
    return FinalState(
        task_id=row.task_id,
        image_url=row.image_url,
        detection=detection,
        box=searched_part(detection) if has_box(part_about(row.task, row.to_name)) else None,
        objects=[
            Box(each["left"], each["top"], each["width"], each["height"])
            for each in row.objects or []
        ],
        points=[
            FinalPoint(each.final_label or "", each.final_x, each.final_y, each.object)
            for each in points
        ],
        image_number=row.image_number or 0,
    )
