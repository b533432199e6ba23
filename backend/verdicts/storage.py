"""Every SQL statement about the verdict log. Rows are added, never changed or deleted.

Which state of an annotation counts is a question asked of the log: the newest one that was not
retracted. So neither the order in which events come in nor a repeated one makes a difference.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Subquery,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)

from backend.database.connection import Database
from backend.database.schema import deliveries, events, predictions, projects
from backend.suggestions.records import Event
from backend.verdicts.judging import Verdict
from backend.verdicts.packing import pack
from backend.verdicts.records import Candidate, Entry, Filters, State
from backend.verdicts.tables import (
    IS_CHOICE,
    arrivals,
    handled_events,
    holdouts,
    kept_maps,
    retractions,
    states,
    sync_runs,
    unused,
    verdicts,
)

ACTIONS = (
    "ANNOTATION_CREATED",
    "ANNOTATION_UPDATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATION_DELETED",
    "ANNOTATIONS_DELETED",
    "TASKS_DELETED",
)
# Rows that are in memory at a time.
CHUNK = 500
STREAM = 1000

_OWN = ("verdicts", "unused")  # of a State, but kept in tables of their own
_STATE_COLUMNS = [field.name for field in fields(State) if field.name not in _OWN]
_STATISTICS_COLUMNS = (
    "id",
    "project_uid",
    "task_id",
    "annotation_id",
    "updated_at",
    "annotator",
    "lead_time",
    "prediction_id",
    "model_version",
    "class_name",
    "shown",
    "width",
    "height",
    "points",
    "labels",
)
_VERDICT_COLUMNS = [field.name for field in fields(Verdict)]


class VerdictStorage:
    """The verdict log in a database that `Storage.migrate` has brought up to date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Writing

    def unhandled_events(self, limit: int = CHUNK) -> list[Event]:
        """Events about annotations that the log does not have yet, in the order they came in."""
        asked = (
            select(events)
            .outerjoin(handled_events, handled_events.c.event_id == events.c.id)
            .where(events.c.action.in_(ACTIONS), handled_events.c.event_id.is_(None))
            .order_by(events.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [Event(**row._mapping) for row in connection.execute(asked)]

    def record(self, entries: Sequence[Entry], moment: datetime) -> tuple[int, int]:
        """Add to the log what it does not have; all of it or nothing.

        Returns:
            How many states and retractions were new.
        """
        added = retracted = 0
        with self._database.writing() as connection:
            for entry in entries:
                if entry.event_id is not None and not self._handle(connection, entry, moment):
                    continue  # another process was faster
                for state in entry.states:
                    added += self._add_state(connection, state, entry.event_id, moment)
                rows = [asdict(retraction) for retraction in entry.retractions]
                if rows:
                    connection.execute(retractions.insert(), rows)
                retracted += len(rows)
                for each in entry.unused:
                    self._add_unused(connection, event_id=entry.event_id, **asdict(each))
        return added, retracted

    def _handle(self, connection: Connection, entry: Entry, moment: datetime) -> bool:
        statement = (
            self._database.insert(handled_events)
            .values(event_id=entry.event_id, handled_at=moment)
            .on_conflict_do_nothing()
        )
        return bool(connection.execute(statement).rowcount)

    def _add_state(
        self, connection: Connection, state: State, event_id: int | None, moment: datetime
    ) -> bool:
        values = {name: getattr(state, name) for name in _STATE_COLUMNS}
        points, labels = pack(state.verdicts)
        values |= {"recorded_at": moment, "objects": list(state.objects)}
        values |= {"points": points, "labels": labels}
        insert = self._database.insert(states).values(values).on_conflict_do_nothing()
        new = connection.scalar(insert.returning(states.c.id))
        key = (states.c.project_uid, states.c.annotation_id, states.c.made_at, states.c.updated_at)
        state_id = new or connection.scalar(
            select(states.c.id).where(
                *(column == values[column.name] for column in (*key, states.c.digest))
            )
        )
        assert state_id is not None
        if event_id is not None:
            arrival = self._database.insert(arrivals).values(state_id=state_id, event_id=event_id)
            connection.execute(arrival.on_conflict_do_nothing())
        if new is None:
            return False
        if state.verdicts:
            rows = [
                {"state_id": state_id} | {name: getattr(each, name) for name in _VERDICT_COLUMNS}
                for each in state.verdicts
            ]
            connection.execute(verdicts.insert(), rows)
        for place, reason in enumerate(state.unused):
            self._add_unused(
                connection,
                state_id=state_id,
                project_uid=state.project_uid,
                task_id=state.task_id,
                reason=reason,
                digest=hashlib.sha256(f"{state_id} {place}".encode()).hexdigest(),
            )
        return True

    def _add_unused(self, connection: Connection, **values: Any) -> None:
        connection.execute(self._database.insert(unused).values(values).on_conflict_do_nothing())

    def withhold(self, project_uid: str, task_ids: Sequence[int], moment: datetime) -> None:
        """Note that the suggestions of these tasks are held back."""
        rows = [
            {"project_uid": project_uid, "task_id": task_id, "withheld_at": moment}
            for task_id in sorted(set(task_ids))
        ]
        with self._database.writing() as connection:
            for start in range(0, len(rows), CHUNK):
                insert = self._database.insert(holdouts).on_conflict_do_nothing()
                connection.execute(insert, rows[start : start + CHUNK])

    def keep_maps(self, prediction_id: int, coarse: bytes, fine: bytes) -> None:
        """Keep the two maps of a prediction, as PNG."""
        values = {"prediction_id": prediction_id, "coarse": coarse, "fine": fine}
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(kept_maps).values(values).on_conflict_do_nothing()
            )

    def wants_maps(self, model_version: str, most: int) -> bool:
        """Whether fewer than `most` predictions of a model version have their maps kept."""
        asked = (
            select(func.count())
            .select_from(kept_maps.join(predictions))
            .where(predictions.c.model_version == model_version)
        )
        with self._database.reading() as connection:
            return bool((connection.scalar(asked) or 0) < most)

    def note_sync(self, **values: Any) -> None:
        """Keep what a pull of one project brought."""
        with self._database.writing() as connection:
            connection.execute(sync_runs.insert().values(values))

    # What there was to see

    def project_uids(self) -> list[str]:
        """Every project that is known."""
        with self._database.reading() as connection:
            return list(connection.scalars(select(projects.c.uid).order_by(projects.c.uid)))

    def candidates(self, project_uid: str, task_id: int) -> list[Candidate]:
        """Predictions of a task that are ready, one for each time that they were delivered."""
        asked = (
            select(
                predictions.c.id,
                predictions.c.model_version,
                predictions.c.detection,
                deliveries.c.sent,
                deliveries.c.made_at,
                deliveries.c.label_studio_id,
            )
            .outerjoin(deliveries, deliveries.c.prediction_id == predictions.c.id)
            .where(
                predictions.c.project_uid == project_uid,
                predictions.c.task_id == task_id,
                predictions.c.status == "ready",
            )
            .order_by(predictions.c.id, deliveries.c.number)
        )
        with self._database.reading() as connection:
            return [Candidate(*row) for row in connection.execute(asked)]

    def is_withheld(self, project_uid: str, task_id: int) -> bool:
        """Whether the suggestions of a task are held back."""
        asked = select(holdouts.c.task_id).where(
            holdouts.c.project_uid == project_uid, holdouts.c.task_id == task_id
        )
        with self._database.reading() as connection:
            return connection.scalar(asked) is not None

    # The log

    def known_annotations(self, project_uid: str) -> dict[int, datetime]:
        """Annotations of a project that count, and when each was made."""
        current = _current(Filters(project=project_uid), ("judged", "skipped", "unused"))
        with self._database.reading() as connection:
            rows = connection.execute(select(current.c.annotation_id, current.c.made_at))
            return {row.annotation_id: row.made_at for row in rows}

    def retracted(self, project_uid: str) -> set[tuple[int, datetime]]:
        """Annotations (id, made at) of a project that the log knows as deleted."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(states.c.annotation_id, states.c.made_at)
                .where(states.c.project_uid == project_uid, ~_stands(states))
                .distinct()
            )
            return {(row.annotation_id, row.made_at) for row in rows}

    def current_states(self, filters: Filters) -> list[Row[Any]]:
        """The annotations that count and were compared, each with the address of its image."""
        current = _current(filters, ("judged",))
        columns = [current.c[name] for name in _STATISTICS_COLUMNS]
        asked = (
            select(*columns, predictions.c.image_url)
            .join_from(current, predictions, predictions.c.id == current.c.prediction_id)
            .order_by(current.c.id)
        )
        with self._database.reading() as connection:
            return list(connection.execute(asked))

    def skipped(self, filters: Filters) -> int:
        """How many annotations that count were skipped."""
        current = _current(filters, ("skipped",))
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(current)) or 0

    def choices(self, filters: Filters) -> list[Row[Any]]:
        """(state, verdict, how often) of the verdicts about classes that count."""
        columns = (verdicts.c.state_id, verdicts.c.verdict)
        asked = (
            select(*columns, func.count().label("count"))
            .where(verdicts.c.state_id.in_(_ids(filters)), IS_CHOICE)
            .group_by(*columns)
        )
        with self._database.reading() as connection:
            return list(connection.execute(asked))

    def points_of(self, state_ids: Sequence[int]) -> list[Row[Any]]:
        """Every column of the verdicts about points of some states."""
        found: list[Row[Any]] = []
        with self._database.reading() as connection:
            for start in range(0, len(state_ids), CHUNK):
                asked = select(verdicts).where(
                    verdicts.c.state_id.in_(state_ids[start : start + CHUNK]),
                    verdicts.c.kind == "point",
                )
                found.extend(connection.execute(asked.order_by(verdicts.c.id)))
        return found

    def states_of(self, state_ids: Sequence[int]) -> dict[int, Row[Any]]:
        """Some states by their ids."""
        with self._database.reading() as connection:
            rows = connection.execute(select(states).where(states.c.id.in_(state_ids)))
            return {row.id: row for row in rows}

    def final_of_predictions(self, prediction_ids: Sequence[int]) -> dict[int, list[Any]]:
        """Prediction → the points that the first of its annotators left."""
        current = _current(Filters(), ("judged",))
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
        found: dict[int, list[Any]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(asked):
                found.setdefault(row.prediction_id, []).append(row)
        return found

    def log(self, filters: Filters) -> Iterator[Sequence[Row[Any]]]:
        """Every verdict that counts with what is known of its annotation, some rows at a time."""
        current = _current(filters, ("judged",))
        of_state = (
            current.c.project_uid,
            current.c.task_id,
            current.c.annotation_id,
            current.c.made_at,
            current.c.updated_at,
            current.c.source,
            current.c.annotator,
            current.c.lead_time,
            current.c.prediction_id,
            current.c.model_version,
            current.c.score.label("prediction_score"),
            current.c.class_name,
            current.c.shown,
            current.c.width,
            current.c.height,
        )
        columns = [verdicts.c[name] for name in _VERDICT_COLUMNS]
        asked = (
            select(*of_state, *columns)
            .join_from(verdicts, current, verdicts.c.state_id == current.c.id)
            .where(_about(filters.label))
            .order_by(verdicts.c.id)
        )
        yield from self._stream(asked)

    def final_points(self, filters: Filters) -> Iterator[Sequence[Row[Any]]]:
        """State by state: what annotators left, for an export; some rows at a time."""
        current = _current(filters, ("judged",))
        asked = (
            select(
                current.c.id,
                current.c.project_uid,
                current.c.task_id,
                current.c.annotation_id,
                current.c.annotator,
                current.c.updated_at,
                current.c.class_name,
                current.c.width,
                current.c.height,
                current.c.objects,
                predictions.c.image_url,
                verdicts.c.final_x,
                verdicts.c.final_y,
                verdicts.c.final_label,
                verdicts.c.object,
            )
            .join_from(current, predictions, predictions.c.id == current.c.prediction_id)
            .outerjoin(
                verdicts,
                and_(
                    verdicts.c.state_id == current.c.id,
                    verdicts.c.kind == "point",
                    verdicts.c.final_x.is_not(None),
                    _label_is(verdicts.c.final_label, filters.label),
                ),
            )
            .order_by(current.c.id, verdicts.c.id)
        )
        yield from self._stream(asked)

    def most_of_each_label(self, filters: Filters) -> dict[str, int]:
        """Label → how often at most it occurs on one object of one annotation."""
        each = (
            select(verdicts.c.final_label, func.count().label("count"))
            .where(
                verdicts.c.state_id.in_(_ids(filters)),
                verdicts.c.kind == "point",
                verdicts.c.final_x.is_not(None),
                _label_is(verdicts.c.final_label, filters.label),
            )
            .group_by(verdicts.c.state_id, verdicts.c.object, verdicts.c.final_label)
            .subquery()
        )
        asked = select(each.c.final_label, func.max(each.c.count)).group_by(each.c.final_label)
        with self._database.reading() as connection:
            rows = connection.execute(asked.order_by(each.c.final_label))
            return {row[0] or "": row[1] for row in rows}

    def tasks_of_several_versions(self) -> list[Row[Any]]:
        """(project, task) of tasks for which several model versions are ready."""
        task = (predictions.c.project_uid, predictions.c.task_id)
        asked = (
            select(*task)
            .where(predictions.c.status == "ready")
            .group_by(*task)
            .having(func.count(predictions.c.model_version.distinct()) > 1)
            .order_by(*task)
        )
        with self._database.reading() as connection:
            return list(connection.execute(asked))

    def detections(self, project_uid: str, task_ids: Sequence[int]) -> list[Row[Any]]:
        """(task, model version, detection) of the predictions of some tasks that are ready."""
        found: list[Row[Any]] = []
        with self._database.reading() as connection:
            for start in range(0, len(task_ids), CHUNK):
                asked = select(
                    predictions.c.task_id, predictions.c.model_version, predictions.c.detection
                ).where(
                    predictions.c.project_uid == project_uid,
                    predictions.c.task_id.in_(task_ids[start : start + CHUNK]),
                    predictions.c.status == "ready",
                )
                found.extend(connection.execute(asked.order_by(predictions.c.id)))
        return found

    def maps_of(self, prediction_ids: Sequence[int]) -> dict[int, tuple[bytes, bytes]]:
        """Prediction → its coarse and its fine map, as PNG, of those that are kept."""
        found: dict[int, tuple[bytes, bytes]] = {}
        with self._database.reading() as connection:
            for start in range(0, len(prediction_ids), CHUNK):
                asked = select(kept_maps).where(
                    kept_maps.c.prediction_id.in_(prediction_ids[start : start + CHUNK])
                )
                for row in connection.execute(asked):
                    found[row.prediction_id] = (row.coarse, row.fine)
        return found

    def predictions_with_maps(self, filters: Filters, limit: int) -> list[int]:
        """Predictions whose maps are kept and whose tasks are annotated, oldest first."""
        current = _current(filters, ("judged",))
        asked = (
            select(kept_maps.c.prediction_id)
            .where(exists().where(current.c.prediction_id == kept_maps.c.prediction_id))
            .order_by(kept_maps.c.prediction_id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return list(connection.scalars(asked))

    # What was lost or not used

    def unused_reasons(self, filters: Filters) -> dict[str, int]:
        """Why regions, annotations and events were not used, and how often."""
        counted: dict[str, int] = {}
        all_current = _current(filters, ("judged", "unused", "skipped"))
        annotations = _current(filters, ("unused",))
        of_states = (
            select(unused.c.reason, func.count())
            .join_from(unused, all_current, all_current.c.id == unused.c.state_id)
            .group_by(unused.c.reason)
        )
        of_annotations = select(annotations.c.reason, func.count()).group_by(annotations.c.reason)
        asked = [of_states, of_annotations]
        if filters == Filters(project=filters.project):
            of_events = select(unused.c.reason, func.count()).where(unused.c.state_id.is_(None))
            if filters.project is not None:
                of_events = of_events.where(_project_is(unused.c.project_uid, filters.project))
            asked.append(of_events.group_by(unused.c.reason))
        with self._database.reading() as connection:
            for statement in asked:
                for reason, count in connection.execute(statement):
                    counted[reason] = counted.get(reason, 0) + count
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))

    def arrivals(self, filters: Filters) -> dict[str, int]:
        """How many states of annotations came by events, and how many only a pull brought."""
        chosen: list[ColumnElement[bool]] = []
        gone: list[ColumnElement[bool]] = [retractions.c.source == "sync", retractions.c.deleted]
        if filters.project is not None:
            chosen.append(_project_is(states.c.project_uid, filters.project))
            gone.append(_project_is(retractions.c.project_uid, filters.project))
        came = exists().where(arrivals.c.state_id == states.c.id)
        with self._database.reading() as connection:
            total = connection.scalar(select(func.count(states.c.id)).where(*chosen)) or 0
            by_event = connection.scalar(select(func.count(states.c.id)).where(came, *chosen)) or 0
            deletions = connection.scalar(select(func.count(retractions.c.id)).where(*gone)) or 0
        recovered = total - by_event
        return {
            "by_event": by_event,
            "lost": recovered + deletions,
            "recovered": recovered + deletions,
        }

    def last_sync(self, project_uid: str) -> Row[Any] | None:
        """The latest pull of a project."""
        asked = select(sync_runs).where(sync_runs.c.project_uid == project_uid)
        with self._database.reading() as connection:
            return connection.execute(asked.order_by(sync_runs.c.id.desc()).limit(1)).one_or_none()

    def _stream(self, asked: Select[Any]) -> Iterator[Sequence[Row[Any]]]:
        """Rows in portions, of which the database's driver holds one at a time."""
        with self._database.reading() as connection:
            rows = connection.execution_options(yield_per=STREAM).execute(asked)
            yield from rows.partitions()


def _ids(filters: Filters) -> Select[Any]:
    return select(_current(filters, ("judged",)).c.id)


def _current(filters: Filters, outcomes: Sequence[str]) -> Subquery:
    """The newest state of every annotation that was not retracted, as far as the filters go."""
    newer = states.alias()
    superseded = exists().where(
        newer.c.project_uid == states.c.project_uid,
        newer.c.annotation_id == states.c.annotation_id,
        newer.c.made_at == states.c.made_at,
        tuple_(newer.c.updated_at, newer.c.digest) > tuple_(states.c.updated_at, states.c.digest),
        _stands(newer),
    )
    conditions = [states.c.outcome.in_(outcomes), ~superseded, _stands(states)]
    if filters.project is not None:
        conditions.append(_project_is(states.c.project_uid, filters.project))
    if filters.annotator is not None:
        conditions.append(states.c.annotator == filters.annotator)
    if filters.model_version is not None:
        conditions.append(states.c.model_version == filters.model_version)
    if filters.since is not None:
        conditions.append(states.c.updated_at >= filters.since)
    if filters.until is not None:
        conditions.append(states.c.updated_at < filters.until)
    return select(states).where(*conditions).subquery()


def _stands(state: FromClause) -> ColumnElement[bool]:
    """Whether the annotation of a state is there: not deleted, or seen again after that.

    A deletion concerns what was made before it: its id may have been given out again since.
    """
    again = retractions.alias()
    seen_again = exists().where(
        again.c.project_uid == state.c.project_uid,
        again.c.annotation_id == state.c.annotation_id,
        again.c.deleted.is_(False),
        again.c.at > retractions.c.at,
    )
    deleted = [
        exists().where(
            retractions.c.project_uid == state.c.project_uid,
            same,
            retractions.c.deleted,
            retractions.c.at >= state.c.made_at,
            ~seen_again,
        )
        for same in (
            retractions.c.annotation_id == state.c.annotation_id,
            retractions.c.task_id == state.c.task_id,
        )
    ]
    return ~or_(*deleted)


def _project_is(column: ColumnElement[Any], project: str) -> ColumnElement[bool]:
    """Whether a uid, `id.created_ts`, is the project's, or of a project with that id."""
    return or_(column == project, column.startswith(f"{project}.", autoescape=True))


def _label_is(column: ColumnElement[Any], label: str | None) -> ColumnElement[bool]:
    return true() if label is None else column == label


def _about(label: str | None) -> ColumnElement[bool]:
    if label is None:
        return true()
    return or_(verdicts.c.suggested_label == literal(label), verdicts.c.final_label == label)
