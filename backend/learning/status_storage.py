"""SQL that tells how far the learning of projects is."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from sqlalchemy import case, func, select

from backend.database.connection import Database
from backend.learning.queries import STEP_COLUMNS, step_from_row
from backend.learning.records import LearningStatus, Step
from backend.learning.tables import examples, learnt_steps


def learning_status(database: Database, project_uid: str, base_version: str) -> LearningStatus:
    """Return how far the learning of a project is, with one of the models."""
    return learning_statuses(database, {project_uid: base_version})[project_uid]


def learning_statuses(
    database: Database, base_versions: Mapping[str, str]
) -> dict[str, LearningStatus]:
    """Return how far the learning of projects is, in three queries however many they are.

    Args:
        base_versions: uid → version of the project's model.
    """
    counts = _count_images(database, base_versions)
    failures = _failures(database, base_versions)
    steps = {
        step.project_uid: step
        for step in _steps(database, base_versions)
        if base_versions[step.project_uid] == step.base_version
    }
    return {
        uid: replace(
            _status(uid, base_version, counts, steps.get(uid)), failures=failures.get(uid, {})
        )
        for uid, base_version in base_versions.items()
    }


def _status(
    uid: str, base_version: str, counts: Mapping[tuple[str, str], int], step: Step | None
) -> LearningStatus:
    return LearningStatus(
        uid,
        learnt=counts.get((uid, "ready"), 0),
        waiting=counts.get((uid, "waiting"), 0),
        failed=counts.get((uid, "failed"), 0),
        reserve=counts.get((uid, "reserve"), 0),
        in_use=step.images if step and step.name else 0,
        costs=(step and step.costs) or None,
        tolerance=step.tolerance if step else None,
        version=step.version if step else base_version,
    )


def _count_images(database: Database, uids: Collection[str]) -> dict[tuple[str, str], int]:
    """Return (uid, status) → number of images; those whose features were given up are ready."""
    status = case((examples.c.status == "spare", "ready"), else_=examples.c.status)
    columns = (examples.c.project_uid, examples.c.task_id, examples.c.image_url)
    images = select(*columns, status.label("status")).distinct()
    if len(uids) == 1:
        images = images.where(examples.c.project_uid.in_(uids))
    counted = images.subquery()
    grouped = (counted.c.project_uid, counted.c.status)
    with database.reading() as connection:
        rows = connection.execute(select(*grouped, func.count()).group_by(*grouped))
        return {(row[0], row[1]): row[2] for row in rows}


def _failures(database: Database, uids: Collection[str]) -> dict[str, dict[str, int]]:
    """Return uid → reason → number of images."""
    columns = (examples.c.project_uid, examples.c.task_id, examples.c.image_url, examples.c.reason)
    query = select(*columns).where(examples.c.status == "failed").distinct()
    if len(uids) == 1:
        query = query.where(examples.c.project_uid.in_(uids))
    found: dict[str, dict[str, int]] = {}
    with database.reading() as connection:
        for row in connection.execute(query.order_by(*columns)):
            reasons = found.setdefault(row.project_uid, {})
            reasons[row.reason or ""] = reasons.get(row.reason or "", 0) + 1
    return found


def _steps(database: Database, uids: Collection[str]) -> list[Step]:
    query = select(*STEP_COLUMNS)
    if len(uids) == 1:
        query = query.where(learnt_steps.c.project_uid.in_(uids))
    with database.reading() as connection:
        steps = [step_from_row(row) for row in connection.execute(query)]
    return [step for step in steps if step.project_uid in uids]
