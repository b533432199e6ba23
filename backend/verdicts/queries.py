"""SQL conditions that decide which states of the log count, for this package and the report.

The newest state of an annotation counts, unless the annotation was deleted; of two that were saved
at the same time the one recorded last. So neither the order of events nor repeated events make a
difference, unless Label Studio gives different contents the same time.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    ScalarSelect,
    Subquery,
    and_,
    case,
    exists,
    func,
    or_,
    select,
    tuple_,
)

from backend.verdicts.records import AnnotationKey, Filters, Outcome
from backend.verdicts.tables import origins, retractions, states


def current_states(filters: Filters, outcomes: Sequence[Outcome]) -> Subquery:
    """Select the newest state of every annotation that was not deleted.

    Of an annotation of a task with several images, one for each.

    Args:
        filters: conditions on this state, all but `label`, which concerns points.
        outcomes: the outcomes to select.
    """
    newer = states.alias()
    superseded = exists().where(
        *_same_annotation(newer, states),
        tuple_(newer.c.updated_at, newer.c.id) > tuple_(states.c.updated_at, states.c.id),
        # Saved together, the states on several images stand beside one another.
        or_(newer.c.updated_at > states.c.updated_at, _same_image(newer, states)),
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


def group_of(state: FromClause) -> ColumnElement[Any]:
    """Select the `Group` of the annotation of a state that was compared with a prediction."""
    began = exists().where(*_same_annotation(origins, state))
    return case((~state.c.shown, "withheld"), (began, "shown"), else_="from scratch")


def first_submission(state: FromClause) -> ScalarSelect[int]:
    """Select the id of the first state, as its author saved it, of the annotation of a state.

    Null where only states are known that somebody else saved.
    """
    first = states.alias()
    return (
        select(first.c.id)
        .where(
            *_same_annotation(first, state),
            _same_image(first, state),
            first.c.outcome == "judged",
            _by_author(first),
        )
        .order_by(first.c.updated_at, first.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def edited_by_other(state: FromClause) -> ColumnElement[bool]:
    """Select whether somebody else saved a state, and its author had not left it like this.

    A save that changes nothing, such as a star, is no edit.
    """
    own = states.alias()
    same = exists().where(
        *_same_annotation(own, state), own.c.digest == state.c.digest, _by_author(own)
    )
    return and_(func.coalesce(state.c.updated_by != state.c.annotator, False), ~same)


def _same_annotation(table: FromClause, state: FromClause) -> list[ColumnElement[bool]]:
    return [table.c[name] == state.c[name] for name in AnnotationKey._fields]


def _same_image(table: FromClause, state: FromClause) -> ColumnElement[bool]:
    return table.c.image_number.is_not_distinct_from(state.c.image_number)


def _by_author(state: FromClause) -> ColumnElement[bool]:
    """Require that a state was saved by the annotator; by nobody else, as far as is known."""
    return func.coalesce(state.c.updated_by == state.c.annotator, True)


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
