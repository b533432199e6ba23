"""SQL that the storages of examples and of steps share."""

from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, false, or_, select, true

from backend.database.connection import Database
from backend.database.schema import WAITS_NO_MORE
from backend.labelstudio.projects import projects
from backend.learning.records import Example, Step
from backend.learning.steps import Terms
from backend.learning.tables import WAITS_FOR_WORKER, examples, learnt_steps, team_costs
from backend.outages.due_storage import DueRows
from backend.outages.queries import count_by_reason, given_up_reason, retry, waits
from backend.outages.records import JobFilter, WaitCount
from backend.outages.storage import WaitingRows
from model.keypoint import Box

EXAMPLE_COLUMNS = [examples.c[field.name] for field in fields(Example)]
# So many examples of a project, those changed last, count as what people submit now.
NEWEST = 10
STEP_COLUMNS = [learnt_steps.c[field.name] for field in fields(Step)]
# Statements of every job are made once: that takes longer than to run them.
_CURRENT_STEP = select(*STEP_COLUMNS).where(
    learnt_steps.c.project_uid == bindparam("project"),
    learnt_steps.c.base_version == bindparam("base"),
)


def lock_project(connection: Connection, project_uid: str) -> None:
    """Wait until no other transaction changes the examples of a project (PostgreSQL)."""
    connection.execute(
        select(projects.c.uid)
        .where(projects.c.uid == project_uid)
        .with_for_update(key_share=True)  # lets predictions be requested meanwhile
    )


def current_step(connection: Connection, project_uid: str, base_version: str) -> Step | None:
    """Return the current step of a project with one of the models; None before the first."""
    of = {"project": project_uid, "base": base_version}
    row = connection.execute(_CURRENT_STEP, of).one_or_none()
    return None if row is None else step_from_row(row)


def terms_of(connection: Connection, project_uid: str) -> Terms:
    """Return what the next step of a project is to be judged by."""
    costs = connection.scalar(
        select(team_costs.c.costs).where(team_costs.c.project_uid == project_uid)
    )
    settings = connection.scalar(select(projects.c.settings).where(projects.c.uid == project_uid))
    return Terms(costs or {}, (settings or {}).get("tolerance"))


def step_from_row(row: Row[Any]) -> Step:
    """Convert a row with `STEP_COLUMNS`."""
    values = {field.name: getattr(row, field.name) for field in fields(Step)}
    values["members"] = tuple((number, digest) for number, digest in row.members)
    values["costs"] = row.costs or {}
    return Step(**values)


def example_from_row(row: Row[Any]) -> Example:
    """Convert a row with `EXAMPLE_COLUMNS`."""
    values = {field.name: getattr(row, field.name) for field in fields(Example)}
    values["box"] = None if row.box is None else Box(**row.box)
    values["points"] = {label: (place[0], place[1]) for label, place in row.points.items()}
    values["visibility"] = row.visibility or {}
    return Example(**values)


def waiting_values() -> dict[str, object]:
    """Return the values of columns that make an example wait for its features."""
    return {
        "status": "waiting",
        "reason": None,
        "key": None,
        "features": None,
        "whole": None,
        "round": examples.c.round + 1,
        "attempts": 0,
        "failures": 0,
        **WAITS_NO_MORE,
    }


def waiting_examples(database: Database) -> WaitingRows:
    """Return the examples that wait for a service."""
    return WaitingRows(database, examples)


def due_examples(database: Database, *, newest: bool) -> DueRows:
    """Return the examples that workers can learn now.

    Args:
        newest: those that were just submitted, a few of each project; else all others, such as
            those of an import or of a project that is learnt anew.
    """

    def of_project(connection: Connection, project_uid: str) -> ColumnElement[bool]:
        changed_at = examples.c.changed_at
        query = select(changed_at).where(examples.c.project_uid == project_uid)
        # What was changed at one moment counts together: as too many, or as the newest.
        before: datetime | None = connection.scalar(
            query.order_by(changed_at.desc()).limit(1).offset(NEWEST)
        )
        if before is None:
            return true() if newest else false()
        submitted_now: ColumnElement[bool] = changed_at > before
        return submitted_now if newest else ~submitted_now

    return DueRows(database, examples, WAITS_FOR_WORKER, (examples.c.id,), of_project)


def give_up_waiting_examples(database: Database, before: datetime) -> int:
    """Give up the examples that have waited since before a moment, and count them."""
    ended = {"status": "failed", "reason": given_up_reason(examples)}
    return waiting_examples(database).give_up(before, **ended)


def count_examples(database: Database, wanted: JobFilter) -> list[WaitCount]:
    """Count the examples that are not learnt, by reason."""
    return count_by_reason(
        database,
        examples,
        wanted,
        kind="corrected image",
        pending=examples.c.status == "waiting",
        failed=examples.c.status == "failed",
        asked_at=examples.c.changed_at,
    )


def retry_examples(database: Database, wanted: JobFilter) -> int:
    """Have examples that failed or wait learnt now, and count them."""
    undone = or_(examples.c.status == "failed", waits(examples))
    with database.writing() as connection:
        return retry(connection, examples, wanted, undone, waiting_values())
