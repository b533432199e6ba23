"""SQL of the agreement report: what counts in the verdict log."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    true,
)

from backend.database.connection import CHUNK, Database
from backend.suggestions.tables import kept_maps, predictions
from backend.verdicts.judging import Verdict
from backend.verdicts.queries import current_states, of_project
from backend.verdicts.records import Filters
from backend.verdicts.tables import IS_CHOICE, arrivals, retractions, states, unused, verdicts

STREAM = 1000
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


class AgreementQueries:
    """Questions that the report asks the verdict log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current_states(self, filters: Filters) -> list[Row[Any]]:
        """The annotations that count and were compared, each with the address of its image."""
        current = current_states(filters, ("judged",))
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
        current = current_states(filters, ("skipped",))
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
        found: dict[int, list[Any]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(asked):
                found.setdefault(row.prediction_id, []).append(row)
        return found

    def log(self, filters: Filters) -> Iterator[Sequence[Row[Any]]]:
        """Every verdict that counts with what is known of its annotation, some rows at a time."""
        current = current_states(filters, ("judged",))
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
        current = current_states(filters, ("judged",))
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

    def predictions_with_maps(self, filters: Filters, limit: int) -> list[int]:
        """Predictions whose maps are kept and whose tasks are annotated, oldest first."""
        current = current_states(filters, ("judged",))
        asked = (
            select(kept_maps.c.prediction_id)
            .where(exists().where(current.c.prediction_id == kept_maps.c.prediction_id))
            .order_by(kept_maps.c.prediction_id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return list(connection.scalars(asked))

    def unused_reasons(self, filters: Filters) -> dict[str, int]:
        """Why regions, annotations and events were not used, and how often."""
        counted: dict[str, int] = {}
        all_current = current_states(filters, ("judged", "unused", "skipped"))
        annotations = current_states(filters, ("unused",))
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
                of_events = of_events.where(of_project(unused.c.project_uid, filters.project))
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
            chosen.append(of_project(states.c.project_uid, filters.project))
            gone.append(of_project(retractions.c.project_uid, filters.project))
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

    def _stream(self, asked: Select[Any]) -> Iterator[Sequence[Row[Any]]]:
        """Rows in portions, of which the database's driver holds one at a time."""
        with self._database.reading() as connection:
            rows = connection.execution_options(yield_per=STREAM).execute(asked)
            yield from rows.partitions()


def _ids(filters: Filters) -> Select[Any]:
    return select(current_states(filters, ("judged",)).c.id)


def _label_is(column: ColumnElement[Any], label: str | None) -> ColumnElement[bool]:
    return true() if label is None else column == label


def _about(label: str | None) -> ColumnElement[bool]:
    if label is None:
        return true()
    return or_(verdicts.c.suggested_label == literal(label), verdicts.c.final_label == label)
