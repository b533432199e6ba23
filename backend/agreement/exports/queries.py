"""SQL of the exported annotations.

An export first fixes which states it holds, then reads them portion by portion. As the log only
ever grows, every pass over the same states gives the same annotations.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Text,
    case,
    cast,
    exists,
    func,
    or_,
    select,
    true,
)

from backend.agreement.exports.records import TaskPrediction
from backend.database.connection import CHUNK, Database
from backend.labelstudio.projects import Project, ProjectStorage, projects
from backend.suggestions.queries import detection_box, image_of_state, of_image
from backend.suggestions.tables import deliveries, prediction_images, predictions
from backend.verdicts.queries import current_states, group_of
from backend.verdicts.records import Filters, Group
from backend.verdicts.tables import arrivals, events, states, verdicts
from model.keypoint import Visibility

STREAM = 1000  # rows that a stream holds at a time


@dataclass(slots=True)
class ChosenStates:
    """The states that an export holds: 8 bytes a state.

    Attributes:
        ids: those of one task stand together, image by image, oldest first.
        ends: for each task, where its ids end.
        project_uids: projects that have one of the states, in the order of `ids`.
    """

    ids: "array[int]" = field(default_factory=lambda: array("q"))
    ends: "array[int]" = field(default_factory=lambda: array("q"))
    project_uids: list[str] = field(default_factory=list)

    def portions(self, size: int) -> Iterator[Sequence[int]]:
        """Yield ids portion by portion, each of whole tasks and at least `size` states."""
        start = 0
        for end in self.ends:
            if end - start >= size:
                yield self.ids[start:end]
                start = end
        if start < len(self.ids):
            yield self.ids[start:]


class LoggedState(NamedTuple):
    """A state with the address of its task's image.

    Attributes:
        group: of those that were compared with a prediction.
        detection_box: JSON of the part of the image that the detector looked at.
    """

    id: int
    project_uid: str
    task_id: int
    annotation_id: int
    annotator: int | None
    updated_at: Any
    lead_time: float | None
    outcome: str
    group: Group
    class_name: str | None
    width: float | None
    height: float | None
    objects: list[dict[str, Any]] | None
    image_url: str | None
    detection_box: dict[str, float] | None
    image_number: int | None
    to_name: str | None


class LoggedVerdict(NamedTuple):
    """A final point, or a verdict about the class (`kind` is "choice")."""

    state_id: int
    kind: str
    region_id: str | None
    final_label: str | None
    final_x: float | None
    final_y: float | None
    object: int | None
    final_visibility: Visibility | None


class ExportQueries:
    """What the formats of annotations ask."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def choose(self, filters: Filters, *, one_per_image: bool) -> ChosenStates:
        """Return the newest state of every submitted annotation.

        Args:
            one_per_image: of each image of a task only the annotation that was changed last.
        """
        current = current_states(filters, ("judged", "unused"))
        came = exists().where(arrivals.c.state_id == current.c.id)
        readable = or_(current.c.outcome == "judged", came).label("readable")
        image = func.coalesce(current.c.image_number, 0).label("image")
        order = (current.c.project_uid, current.c.task_id, image, current.c.id)
        asked = select(*order, current.c.updated_at, readable).order_by(*order)
        chosen = ChosenStates()
        with self._database.reading() as connection:
            rows = connection.execution_options(yield_per=STREAM).execute(asked)
            for (uid, _), of_task in groupby(rows, key=lambda row: (row.project_uid, row.task_id)):
                found = list(of_task)
                if one_per_image:
                    found = _last_of_each_image(found)
                chosen.ids.extend(row.id for row in found)
                chosen.ends.append(len(chosen.ids))
                if uid not in chosen.project_uids[-1:]:
                    chosen.project_uids.append(uid)
        return chosen

    def states(self, ids: Sequence[int]) -> list[LoggedState]:
        """Return states by their ids, in the same order."""
        of_task = predictions.alias()
        any_image = (
            select(func.max(of_task.c.image_url))
            .where(
                of_task.c.project_uid == states.c.project_uid,
                of_task.c.task_id == states.c.task_id,
            )
            .scalar_subquery()
        )
        named: dict[str, ColumnElement[Any]] = {
            name: states.c[name] for name in LoggedState._fields if name in states.c
        }
        is_first = func.coalesce(states.c.image_number, 0) == 0
        known_url = func.coalesce(of_image("image_url"), case((is_first, any_image)))
        named |= {"image_url": known_url, "group": group_of(states)}
        named |= {"detection_box": detection_box(), "to_name": prediction_images.c.to_name}
        asked = (
            select(*(named[name] for name in LoggedState._fields))
            .outerjoin_from(states, predictions, predictions.c.id == states.c.prediction_id)
            .outerjoin(prediction_images, image_of_state(states))
        )
        found = {}
        with self._database.reading() as connection:
            for chunk in _chunks(ids):
                rows = connection.execute(asked.where(states.c.id.in_(chunk)))
                found.update({row[0]: LoggedState._make(row) for row in rows})
        return [found[each] for each in ids]

    def verdicts(self, ids: Sequence[int], label: str | None) -> dict[int, list[LoggedVerdict]]:
        """Return the final points and the classes of states, by the id of the state.

        Args:
            label: only points with this label; None for all.
        """
        has_label = true() if label is None else verdicts.c.final_label == label
        asked = select(*(verdicts.c[name] for name in LoggedVerdict._fields)).where(
            or_(
                (verdicts.c.kind == "point") & verdicts.c.final_x.is_not(None) & has_label,
                verdicts.c.kind == "choice",
            )
        )
        found: dict[int, list[LoggedVerdict]] = {}
        with self._database.reading() as connection:
            for chunk in _chunks(ids):
                rows = connection.execute(
                    asked.where(verdicts.c.state_id.in_(chunk)).order_by(verdicts.c.id)
                )
                for row in rows:
                    found.setdefault(row[0], []).append(LoggedVerdict._make(row))
        return found

    def event_ids(self, ids: Sequence[int], *, of_visibility: bool) -> dict[int, int]:
        """Return state id → id of the first event that brought the state, where one did.

        Args:
            of_visibility: only events that may say which points are hidden.
        """
        asked = select(arrivals.c.state_id, func.min(arrivals.c.event_id)).group_by(
            arrivals.c.state_id
        )
        if of_visibility:
            body = cast(events.c.body, Text)
            # Written by json.dumps: a region's flag, and the project's labelling configuration.
            says = or_(body.contains('"hidden": true'), body.contains("perRegion="))
            asked = asked.join(events, events.c.id == arrivals.c.event_id).where(says)
        found: dict[int, int] = {}
        with self._database.reading() as connection:
            for chunk in _chunks(ids):
                rows = connection.execute(asked.where(arrivals.c.state_id.in_(chunk)))
                found.update((row[0], row[1]) for row in rows)
        return found

    def event_body(self, event_id: int) -> dict[str, Any]:
        """Return the raw JSON of an event."""
        with self._database.reading() as connection:
            body = connection.scalar(select(events.c.body).where(events.c.id == event_id))
        return body if isinstance(body, dict) else {}

    def label_configs(self, project_uids: Iterable[str]) -> dict[str, str]:
        """Return the labelling configurations of projects, where they are known."""
        uids = list(project_uids)
        found: dict[str, str] = {}
        with self._database.reading() as connection:
            for chunk in _chunks(uids):
                asked = select(projects.c.uid, projects.c.label_config).where(
                    projects.c.uid.in_(chunk), projects.c.label_config.is_not(None)
                )
                found.update({row.uid: row.label_config for row in connection.execute(asked)})
        return {uid: found[uid] for uid in uids if uid in found}

    def projects(self, uids: Iterable[str]) -> dict[str, Project]:
        """Return the projects that are known, by uid."""
        storage = ProjectStorage(self._database)
        found = ((uid, storage.project(uid)) for uid in uids)
        return {uid: project for uid, project in found if project is not None}

    def predictions_of(
        self, tasks: Iterable[tuple[str, int]]
    ) -> Mapping[tuple[str, int], list[TaskPrediction]]:
        """Return (project, task) → the latest delivery of each of its predictions."""
        ids: dict[str, list[int]] = {}
        for project_uid, task_id in tasks:
            ids.setdefault(project_uid, []).append(task_id)
        found: dict[tuple[str, int], list[TaskPrediction]] = {}
        with self._database.reading() as connection:
            for project_uid, task_ids in ids.items():
                for chunk in _chunks(task_ids):
                    for each in _deliveries(connection, project_uid, chunk):
                        found.setdefault((project_uid, each.task_id), []).append(each)
        return found


def _last_of_each_image(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Return for each image of a task the annotation that was changed last."""
    return [
        max(of_image, key=lambda row: (row.readable, row.updated_at, row.id))
        for _, of_image in groupby(rows, key=lambda row: row.image)
    ]


def _deliveries(
    connection: Connection, project_uid: str, task_ids: Sequence[int]
) -> Iterator[TaskPrediction]:
    asked = (
        select(predictions.c.task_id, deliveries.c.sent, predictions.c.task)
        .join_from(predictions, deliveries, deliveries.c.prediction_id == predictions.c.id)
        .where(
            predictions.c.project_uid == project_uid,
            predictions.c.task_id.in_(task_ids),
            deliveries.c.number == predictions.c.deliveries,
        )
        .order_by(predictions.c.id)
    )
    for row in connection.execute(asked):
        yield TaskPrediction(project_uid, *row)


def _chunks(ids: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))
