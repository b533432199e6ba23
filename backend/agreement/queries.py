"""SQL of the agreement report: which verdicts count, for its figures, exports and pictures."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from sys import intern
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)

from backend.agreement.column_verdicts import ColumnVerdicts
from backend.agreement.columns import BoxBuffer, VerdictColumns, edges_of, unpack_columns
from backend.agreement.label_matching import about_label
from backend.agreement.parameters import AgreementParameters
from backend.agreement.records import (
    Arrivals,
    ChoiceCount,
    JudgedAnnotation,
    UnusedCount,
    VerdictRow,
    VersionDetection,
)
from backend.agreement.sampling import draw, draw_tasks, tasks_of_several_annotators
from backend.agreement.table import VerdictTable
from backend.database.connection import CHUNK, Database
from backend.labelstudio.projects import projects
from backend.suggestions.tables import kept_maps, predictions
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
    arrivals,
    origins,
    retractions,
    states,
    unused,
    verdicts,
)

STREAM = 1000  # rows that a stream holds at a time
_OF_ANNOTATION = [each.name for each in fields(JudgedAnnotation)]
_OF_VERDICT = [each.name for each in fields(Verdict)]
_OF_STATE = [name for name in VerdictRow._fields if name in states.c and name not in _OF_VERDICT]


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
            elsewhere=others["unused"],
            skipped=others["skipped"],
            unused=_unused(connection, filters),
            arrivals=_arrivals(connection, filters),
            tasks_of_several_annotators=len(shared),
            tasks_shown_to_several=len(tasks_of_several_annotators(shown)),
            compared_tasks=compared,
            detections=_detections(connection, tasks),
            verdicts=ColumnVerdicts(whole, wanted),
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
        task_box = predictions.c.detection["box"].label("task_box")
        more = (chosen.c.points, chosen.c.labels, chosen.c.objects, task_box)
        asked = _annotations_from(chosen, *more).order_by(chosen.c.id)
        for row in self._connection.execute(asked.execution_options(yield_per=STREAM)):
            self._points.append(row.points, row.labels)
            self._boxes.append(edges_of(each) for each in (row.task_box, *(row.objects or ())))
            yield _annotation(row)


def _annotations_from(state: FromClause, *more: ColumnElement[Any]) -> Select[Any]:
    """Select the fields of a `JudgedAnnotation`; `state` has newest states."""
    known: dict[str, ColumnElement[Any]] = {
        "newest_id": state.c.id.label("newest_id"),
        "first_id": first_submission(state).label("first_id"),
        "edited_by_other": edited_by_other(state).label("edited_by_other"),
        "group": group_of(state).label("group"),
        "image_url": predictions.c.image_url,
    }
    columns = [known[name] if name in known else state.c[name] for name in _OF_ANNOTATION]
    return select(*columns, *more).join_from(
        state, predictions, predictions.c.id == state.c.prediction_id
    )


def _annotation(row: Row[Any]) -> JudgedAnnotation:
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
    """Read the predictions of some tasks that are ready."""
    found = []
    for project_uid in sorted({uid for uid, _ in tasks}):
        ids = [task_id for uid, task_id in tasks if uid == project_uid]
        for start in range(0, len(ids), CHUNK):
            asked = (
                select(predictions.c.task_id, predictions.c.model_version, predictions.c.detection)
                .where(
                    predictions.c.project_uid == project_uid,
                    predictions.c.task_id.in_(ids[start : start + CHUNK]),
                    predictions.c.status == "ready",
                )
                .order_by(predictions.c.id)
            )
            found += [VersionDetection.of(project_uid, *row) for row in connection.execute(asked)]
    return found


def _verdicts(connection: Connection, state_ids: Sequence[int]) -> dict[int, list[Verdict]]:
    """Read the verdicts about points of some states."""
    columns = [verdicts.c[name] for name in _OF_VERDICT]
    found: dict[int, list[Verdict]] = {}
    for start in range(0, len(state_ids), CHUNK):
        asked = select(verdicts.c.state_id, *columns).where(
            verdicts.c.state_id.in_(state_ids[start : start + CHUNK]),
            verdicts.c.kind == "point",
        )
        for row in connection.execute(asked.order_by(verdicts.c.id)):
            found.setdefault(row[0], []).append(Verdict(*row[1:]))
    return found


class LogVersion(NamedTuple):
    """What tells whether anything that the report shows was added since.

    Numbers of rows, not greatest ids: of two transactions at a time, the one with the smaller ids
    may end later.
    """

    states: int
    origins: int
    retractions: int
    unused: int
    arrivals: int
    detections: int
    maps: int
    projects_changed_at: datetime | None


class AgreementQueries:
    """Queries for the exports, the pictures of the report, and its cache."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> LogVersion:
        """Return the version of everything that figures and page depend on."""
        asked = select(
            select(func.count()).select_from(states).scalar_subquery(),
            select(func.count()).select_from(origins).scalar_subquery(),
            select(func.count()).select_from(retractions).scalar_subquery(),
            select(func.count()).select_from(unused).scalar_subquery(),
            select(func.count()).select_from(arrivals).scalar_subquery(),
            select(func.count()).where(predictions.c.status == "ready").scalar_subquery(),
            select(func.count()).select_from(kept_maps).scalar_subquery(),
            select(func.max(projects.c.changed_at)).scalar_subquery(),
        )
        with self._database.reading() as connection:
            return LogVersion(*connection.execute(asked).one())

    def verdicts_of(self, state_ids: Sequence[int]) -> dict[int, list[Verdict]]:
        """Return the verdicts about points of some states, by the id of the state."""
        with self._database.reading() as connection:
            return _verdicts(connection, state_ids)

    def annotations_of(self, state_ids: Sequence[int]) -> dict[int, JudgedAnnotation]:
        """Return the annotations whose states have these ids."""
        asked = _annotations_from(states).where(states.c.id.in_(state_ids))
        with self._database.reading() as connection:
            return {row.id: _annotation(row) for row in connection.execute(asked)}

    def final_of_predictions(
        self, prediction_ids: Sequence[int]
    ) -> dict[int, list[tuple[float, float]]]:
        """Return for each prediction the points (x, y; px) that its first annotator left."""
        current = current_states(Filters(), ("judged",))
        first = (
            select(func.min(current.c.id))
            .where(current.c.prediction_id.in_(prediction_ids))
            .group_by(current.c.prediction_id)
        )
        asked = (
            select(states.c.prediction_id, verdicts.c.final_x, verdicts.c.final_y)
            .join_from(states, verdicts, verdicts.c.state_id == states.c.id)
            .where(states.c.id.in_(first), verdicts.c.final_x.is_not(None))
            .order_by(verdicts.c.id)
        )
        found: dict[int, list[tuple[float, float]]] = {}
        with self._database.reading() as connection:
            for prediction_id, x, y in connection.execute(asked):
                found.setdefault(prediction_id, []).append((x, y))
        return found

    def predictions_with_maps(self, filters: Filters, limit: int) -> list[int]:
        """Return predictions whose maps are kept and whose tasks are annotated, oldest first."""
        current = current_states(filters, ("judged",))
        asked = (
            select(kept_maps.c.prediction_id)
            .where(exists().where(current.c.prediction_id == kept_maps.c.prediction_id))
            .order_by(kept_maps.c.prediction_id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return list(connection.scalars(asked))

    def verdict_rows(self, filters: Filters) -> Iterator[list[VerdictRow]]:
        """Yield every verdict that counts with its annotation, some rows at a time."""
        current = current_states(filters, ("judged",))
        named: dict[str, ColumnElement[Any]] = {name: current.c[name] for name in _OF_STATE}
        named |= {"prediction_score": current.c.score.label("prediction_score")}
        named |= {name: verdicts.c[name] for name in _OF_VERDICT}
        group = group_of(current)
        named |= {"shown": (group == "shown").label("shown"), "group": group.label("group")}
        asked = (
            select(*(named[name] for name in VerdictRow._fields))
            .join_from(verdicts, current, verdicts.c.state_id == current.c.id)
            .where(_about(filters.label))
            .order_by(verdicts.c.id)
        )
        for rows in self._stream(asked):
            yield [VerdictRow._make(row) for row in rows]

    def _stream(self, asked: Select[Any]) -> Iterator[Sequence[Row[Any]]]:
        """Yield rows in chunks; the database driver holds one chunk at a time."""
        with self._database.reading() as connection:
            rows = connection.execution_options(yield_per=STREAM).execute(asked)
            yield from rows.partitions()


def _about(label: str | None) -> ColumnElement[bool]:
    if label is None:
        return true()
    return or_(verdicts.c.suggested_label == literal(label), verdicts.c.final_label == label)
