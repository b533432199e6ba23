"""SQL conditions that decide which states of the log count, for this package and the report.

The newest state of an annotation counts, unless the annotation was deleted. So neither the order
of events nor repeated events make a difference.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Subquery, exists, or_, select, tuple_

from backend.verdicts.records import Filters, Outcome
from backend.verdicts.tables import retractions, states


def current_states(filters: Filters, outcomes: Sequence[Outcome]) -> Subquery:
    """Select the newest state of every annotation that was not deleted.

    Args:
        filters: all but `label`, which concerns points.
        outcomes: the outcomes to select.
    """
    newer = states.alias()
    superseded = exists().where(
        newer.c.project_uid == states.c.project_uid,
        newer.c.annotation_id == states.c.annotation_id,
        newer.c.made_at == states.c.made_at,
        tuple_(newer.c.updated_at, newer.c.digest) > tuple_(states.c.updated_at, states.c.digest),
        not_retracted(newer),
    )
    conditions = [states.c.outcome.in_(outcomes), ~superseded, not_retracted(states)]
    if filters.project is not None:
        conditions.append(of_project(states.c.project_uid, filters.project))
    if filters.annotator is not None:
        conditions.append(states.c.annotator == filters.annotator)
    if filters.model_version is not None:
        conditions.append(states.c.model_version == filters.model_version)
    if filters.since is not None:
        conditions.append(states.c.updated_at >= filters.since)
    if filters.until is not None:
        conditions.append(states.c.updated_at < filters.until)
    return select(states).where(*conditions).subquery()


def not_retracted(state: FromClause) -> ColumnElement[bool]:
    """Require that the annotation of a state was not deleted, or was found again afterwards.

    A deletion concerns annotations made before it, because Label Studio may reuse the id.
    """
    again = retractions.alias()
    found_again = (
        exists()
        .where(
            again.c.project_uid == state.c.project_uid,
            again.c.annotation_id == state.c.annotation_id,
            again.c.deleted.is_(False),
            again.c.at > retractions.c.at,
        )
        # Of two levels around, SQLAlchemy sees the inner one alone: `state` would be any state.
        .correlate(state, retractions)
    )
    deleted = [
        exists().where(
            retractions.c.project_uid == state.c.project_uid,
            same,
            retractions.c.deleted,
            retractions.c.at >= state.c.made_at,
            ~found_again,
        )
        for same in (
            retractions.c.annotation_id == state.c.annotation_id,
            retractions.c.task_id == state.c.task_id,
        )
    ]
    return ~or_(*deleted)


def of_project(column: ColumnElement[Any], project: str) -> ColumnElement[bool]:
    """Require that a column with uids, `id.created_ts`, holds the given uid, or one of that id."""
    return or_(column == project, column.startswith(f"{project}.", autoescape=True))
