"""SQL for the pictures of the agreement report, its exports, and whether it is up to date."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    exists,
    func,
    literal,
    or_,
    select,
    true,
)

from backend.agreement.loading.queries import (
    OF_VERDICT,
    STREAM,
    annotation_of,
    point_verdicts,
    select_annotations,
)
from backend.agreement.records import (
    JudgedAnnotation,
    VerdictRow,
)
from backend.database.connection import Database
from backend.labelstudio.projects import projects
from backend.suggestions.tables import kept_maps, predictions
from backend.verdicts.judging import Verdict
from backend.verdicts.queries import (
    current_states,
    group_of,
)
from backend.verdicts.records import Filters
from backend.verdicts.tables import (
    arrivals,
    origins,
    purges,
    retractions,
    states,
    unused,
    verdicts,
)

_OF_STATE = [name for name in VerdictRow._fields if name in states.c and name not in OF_VERDICT]


class LogVersion(NamedTuple):
    """What tells whether anything that the report shows was added, or deleted on request, since.

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
    purges: int
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
            select(func.count()).select_from(purges).scalar_subquery(),
            select(func.max(projects.c.changed_at)).scalar_subquery(),
        )
        with self._database.reading() as connection:
            return LogVersion(*connection.execute(asked).one())

    def judged_annotations(self) -> dict[str, int]:
        """Return how many annotations of each project were ever compared, by its uid."""
        annotations = (
            select(states.c.project_uid, states.c.annotation_id, states.c.made_at)
            .where(states.c.outcome == "judged")
            .distinct()
            .subquery()
        )
        asked = select(annotations.c.project_uid, func.count()).group_by(annotations.c.project_uid)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(asked)}

    def verdicts_of(self, state_ids: Sequence[int]) -> dict[int, list[Verdict]]:
        """Return the verdicts about points of some states, by the id of the state."""
        with self._database.reading() as connection:
            return point_verdicts(connection, state_ids)

    def annotations_of(self, state_ids: Sequence[int]) -> dict[int, JudgedAnnotation]:
        """Return the annotations whose states have these ids."""
        asked = select_annotations(states).where(states.c.id.in_(state_ids))
        with self._database.reading() as connection:
            return {row.id: annotation_of(row) for row in connection.execute(asked)}

    def final_of_predictions(
        self, prediction_ids: Sequence[int]
    ) -> dict[int, list[tuple[float, float]]]:
        """Return for each prediction the points (x, y; px) that its first annotator left.

        Of a task with several images those on the first, of which the maps are kept.
        """
        current = current_states(Filters(), ("judged",))
        on_first_image = func.coalesce(current.c.image_number, 0) == 0
        first = (
            select(func.min(current.c.id))
            .where(current.c.prediction_id.in_(prediction_ids), on_first_image)
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
        named |= {name: verdicts.c[name] for name in OF_VERDICT}
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
