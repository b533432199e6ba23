"""SQL that loads the table of the agreement report in one transaction: which verdicts count."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from sys import intern
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Text,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)

from backend.agreement.annotation_points import AnnotationPoints
from backend.agreement.columns import BoxBuffer, VerdictColumns, edges_of, unpack_columns
from backend.agreement.label_matching import about_label
from backend.agreement.parameters import AgreementParameters
from backend.agreement.records import (
    Arrivals,
    ChoiceCount,
    FollowUpCount,
    JudgedAnnotation,
    UnusedCount,
    VersionDetection,
)
from backend.agreement.sampling import draw, draw_tasks, tasks_of_several_annotators
from backend.agreement.table import VerdictTable
from backend.database.connection import CHUNK, Database
from backend.suggestions.queries import detection_box, image_of_state, of_image
from backend.suggestions.tables import prediction_images, predictions
from backend.verdicts.judging import Verdict
from backend.verdicts.packing import PackedPoints
from backend.verdicts.queries import (
    current_states,
    edited_by_other,
    first_submission,
    group_of,
    of_project,
)
from backend.verdicts.records import Filters
from backend.verdicts.tables import (
    IS_CHOICE,
    IS_FOLLOW_UP,
    arrivals,
    retractions,
    states,
    unused,
    verdicts,
)

STREAM = 1000  # rows that a stream holds at a time
_OF_ANNOTATION = [each.name for each in fields(JudgedAnnotation)]
_decode = json.JSONDecoder().raw_decode  # a third of the time of `json.loads`
OF_VERDICT = [each.name for each in fields(Verdict)]


def load_table(
    database: Database,
    filters: Filters,
    parameters: AgreementParameters = AgreementParameters(),  # noqa: B008
) -> VerdictTable:
    """Load everything that the figures need, in one transaction."""
    with database.reading() as connection:
        whole = _columns(connection, filters)
        columns = whole
        if filters.label is not None:
            columns = about_label(whole, filters.label, parameters.near)
        newest = [each for each in columns.annotations if each.is_newest]
        shown = [each for each in newest if each.group == "shown"]
        withheld = [each for each in newest if each.group == "withheld"]
        shared = tasks_of_several_annotators(withheld)
        compared = draw(shared, parameters.most_tasks, parameters.seed)
        tasks = _tasks_of_several_versions(connection, newest, parameters)
        to_compare = set(tasks)
        wanted = {each.id for of_task in compared for each in of_task}
        wanted |= {each.id for each in newest if each.task in to_compare}
        others = _never_compared(connection, filters)
        return VerdictTable(
            filters=filters,
            columns=columns,
            choices=_choices(connection, filters),
            follow_ups=_follow_ups(connection, filters),
            elsewhere=others["unused"],
            skipped=others["skipped"],
            unused=_unused(connection, filters),
            arrivals=_arrivals(connection, filters),
            tasks_of_several_annotators=len(shared),
            tasks_shown_to_several=len(tasks_of_several_annotators(shown)),
            compared_tasks=compared,
            detections=_detections(connection, tasks),
            points=AnnotationPoints(whole, wanted),
        )


def _columns(connection: Connection, filters: Filters) -> VerdictColumns:
    """Read the annotations that count and were compared, with the verdicts about their points."""
    read = _StateReader(connection)
    read.newest(filters)
    read.first_submissions()
    return read.columns()


class _StateReader:
    """Reads the states that count, one after the other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._annotations: list[JudgedAnnotation] = []
        self._points = PackedPoints()
        self._boxes = BoxBuffer()
        self._labels: dict[str, tuple[str, ...]] = {}  # many annotations have the same

    def newest(self, filters: Filters) -> None:
        """Read the newest state of each annotation that passes the filters."""
        for annotation in self._read(current_states(filters, ("judged",))):
            self._annotations.append(annotation)

    def first_submissions(self) -> None:
        """Read the first state of each of these annotations, where that is another one."""
        later = {
            each.first_id: each
            for each in self._annotations
            if each.first_id is not None and not each.is_first
        }
        ids = sorted(later)
        for start in range(0, len(ids), CHUNK):
            chosen = select(states).where(states.c.id.in_(ids[start : start + CHUNK])).subquery()
            for annotation in self._read(chosen):
                newest = later[annotation.id]
                self._annotations.append(
                    replace(
                        annotation,
                        newest_id=newest.id,
                        edited_by_other=newest.edited_by_other,
                    )
                )

    def columns(self) -> VerdictColumns:
        """Return what was read, by annotation; those that began as the suggestions come first.

        So either can be selected without a copy, and the order of recording, which would change
        the last digits of sums over images, makes no difference.
        """
        order = sorted(range(len(self._annotations)), key=self._place)
        return unpack_columns(self._annotations, self._points, self._boxes, order=order)

    def _place(self, place: int) -> tuple[bool, str, int, int, datetime, int]:
        each = self._annotations[place]
        identity = each.project_uid, each.task_id, each.annotation_id
        return each.group != "shown", *identity, each.updated_at, each.id

    def _read(self, chosen: FromClause) -> Iterator[JudgedAnnotation]:
        as_json = (chosen.c.labels, chosen.c.objects, detection_box())
        more = [cast(each, Text) for each in as_json]
        asked = select_annotations(chosen, chosen.c.points, *more).order_by(chosen.c.id)
        found = self._connection.execute(asked.execution_options(yield_per=STREAM))
        for rows in found.partitions():
            for row in rows:
                points, labels, objects, box = row[len(_OF_ANNOTATION) :]
                if labels not in self._labels:
                    self._labels[labels] = tuple(map(intern, _decode(labels)[0]))
                self._points.append(points, self._labels[labels])
                boxes = [_decode(box)[0], *(_decode(objects)[0] if objects else ())]
                self._boxes.append(map(edges_of, boxes))
                yield annotation_of(row)


def select_annotations(state: FromClause, *more: ColumnElement[Any]) -> Select[Any]:
    """Select the fields of a `JudgedAnnotation`; `state` has newest states."""
    known: dict[str, ColumnElement[Any]] = {
        "newest_id": state.c.id.label("newest_id"),
        "first_id": first_submission(state).label("first_id"),
        "edited_by_other": edited_by_other(state).label("edited_by_other"),
        "group": group_of(state).label("group"),
        "image_url": of_image("image_url").label("image_url"),
        # That of several images tells nothing about one of them.
        "lead_time": case((state.c.image_number.is_(None), state.c.lead_time)).label("lead_time"),
    }
    columns = [known[name] if name in known else state.c[name] for name in _OF_ANNOTATION]
    return (
        select(*columns, *more)
        .join_from(state, predictions, predictions.c.id == state.c.prediction_id)
        .outerjoin(prediction_images, image_of_state(state))
    )


def annotation_of(row: Row[Any]) -> JudgedAnnotation:
    """Return an annotation; texts that many have in common are one text in memory."""
    values: list[Any] = [
        intern(each) if type(each) is str else each for each in row[: len(_OF_ANNOTATION)]
    ]
    return JudgedAnnotation(*values)


def _choices(connection: Connection, filters: Filters) -> list[ChoiceCount]:
    """Count the verdicts about the classes of first submissions."""
    columns = (verdicts.c.state_id, verdicts.c.verdict)
    current = current_states(filters, ("judged",))
    first_ids = select(first_submission(current)).select_from(current)
    asked = (
        select(*columns, func.count())
        .where(verdicts.c.state_id.in_(first_ids), IS_CHOICE)
        .group_by(*columns)
    )
    return [ChoiceCount(*row) for row in connection.execute(asked)]


def _follow_ups(connection: Connection, filters: Filters) -> list[FollowUpCount]:
    """Count the verdicts of first submissions about points that followed something placed."""
    current = current_states(filters, ("judged",))
    first_ids = select(first_submission(current)).select_from(current)
    columns = (states.c.project_uid, of_image("image_url"), verdicts.c.verdict)
    asked = (
        select(*columns, func.count())
        .join_from(verdicts, states, states.c.id == verdicts.c.state_id)
        .join(predictions, predictions.c.id == states.c.prediction_id)
        .outerjoin(prediction_images, image_of_state(states))
        .where(verdicts.c.state_id.in_(first_ids), IS_FOLLOW_UP)
        .group_by(*columns)
        .order_by(*columns)
    )
    if filters.label is not None:
        label = literal(filters.label)
        own = (verdicts.c.suggested_label == label, verdicts.c.final_label == label)
        asked = asked.where(or_(*own))
    return [FollowUpCount((row[0], row[1]), *row[2:]) for row in connection.execute(asked)]


def _never_compared(connection: Connection, filters: Filters) -> Mapping[str, int]:
    """Count the annotations that were not compared with a prediction, by their outcome."""
    current = current_states(filters, ("skipped", "unused"))
    asked = select(current.c.outcome, func.count().label("number")).group_by(current.c.outcome)
    return Counter({row.outcome: row.number for row in connection.execute(asked)})


def _unused(connection: Connection, filters: Filters) -> list[UnusedCount]:
    """Count why regions, annotations and events were not used, the most frequent reason first."""
    all_current = current_states(filters, ("judged", "unused", "skipped"))
    annotations = current_states(filters, ("unused",))
    of_states = (
        select(unused.c.reason, func.count())
        .join_from(unused, all_current, all_current.c.id == unused.c.state_id)
        .group_by(unused.c.reason)
    )
    of_annotations = select(annotations.c.reason, func.count()).group_by(annotations.c.reason)
    asked = [of_states, of_annotations]
    # Events without an annotation pass no other filter than the project.
    if filters == Filters(project=filters.project):
        of_events = select(unused.c.reason, func.count()).where(unused.c.state_id.is_(None))
        if filters.project is not None:
            of_events = of_events.where(of_project(unused.c.project_uid, filters.project))
        asked.append(of_events.group_by(unused.c.reason))
    counted: dict[str, int] = {}
    for reason, count in connection.execute(union_all(*asked)):
        counted[reason] = counted.get(reason, 0) + count
    in_order = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [UnusedCount(reason, count) for reason, count in in_order]


def _arrivals(connection: Connection, filters: Filters) -> Arrivals:
    """Count the states of annotations that events brought, and those that only a pull brought."""
    chosen: list[ColumnElement[bool]] = []
    gone: list[ColumnElement[bool]] = [retractions.c.source == "sync", retractions.c.deleted]
    if filters.project is not None:
        chosen.append(of_project(states.c.project_uid, filters.project))
        gone.append(of_project(retractions.c.project_uid, filters.project))
    came = exists().where(arrivals.c.state_id == states.c.id)
    asked = select(
        select(func.count(states.c.id)).where(*chosen).scalar_subquery(),
        select(func.count(states.c.id)).where(came, *chosen).scalar_subquery(),
        select(func.count(retractions.c.id)).where(*gone).scalar_subquery(),
    )
    total, by_event, deletions = connection.execute(asked).one()
    lost = total - by_event + deletions
    return Arrivals(by_event=by_event, lost=lost, recovered=lost)


def _tasks_of_several_versions(
    connection: Connection, annotations: Sequence[JudgedAnnotation], parameters: AgreementParameters
) -> list[tuple[str, int]]:
    """Draw (project, task) of annotated tasks that several model versions have predicted."""
    task = (predictions.c.project_uid, predictions.c.task_id)
    asked = (
        select(*task)
        .where(predictions.c.status == "ready")
        .group_by(*task)
        .having(func.count(predictions.c.model_version.distinct()) > 1)
        .order_by(*task)
    )
    found = [(row.project_uid, row.task_id) for row in connection.execute(asked)]
    return draw_tasks(found, annotations, parameters.most_tasks, parameters.seed)


def _detections(connection: Connection, tasks: Sequence[tuple[str, int]]) -> list[VersionDetection]:
    """Read what the predictions of some tasks that are ready found, on each of their images."""
    found = []
    of_prediction = prediction_images.c.prediction_id == predictions.c.id
    asked = (
        select(
            predictions.c.task_id,
            predictions.c.model_version,
            of_image("detection").label("detection"),
            func.coalesce(prediction_images.c.number, 0),
        )
        .outerjoin_from(predictions, prediction_images, of_prediction)
        .where(predictions.c.status == "ready")
        .order_by(predictions.c.id, prediction_images.c.number)
    )
    for project_uid in sorted({uid for uid, _ in tasks}):
        ids = [task_id for uid, task_id in tasks if uid == project_uid]
        for start in range(0, len(ids), CHUNK):
            of_task = predictions.c.task_id.in_(ids[start : start + CHUNK])
            rows = connection.execute(
                asked.where(predictions.c.project_uid == project_uid, of_task)
            )
            found += [VersionDetection.of(project_uid, *row) for row in rows if row.detection]
    return found


def point_verdicts(connection: Connection, state_ids: Sequence[int]) -> dict[int, list[Verdict]]:
    """Read the verdicts about points of some states."""
    columns = [verdicts.c[name] for name in OF_VERDICT]
    found: dict[int, list[Verdict]] = {}
    for start in range(0, len(state_ids), CHUNK):
        asked = select(verdicts.c.state_id, *columns).where(
            verdicts.c.state_id.in_(state_ids[start : start + CHUNK]),
            verdicts.c.kind == "point",
        )
        for row in connection.execute(asked.order_by(verdicts.c.id)):
            found.setdefault(row[0], []).append(Verdict(*row[1:]))
    return found
