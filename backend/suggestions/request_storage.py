"""SQL of a request for predictions: rows that are missing are added, failed ones queued again.

`PredictionStorage.request` calls these in one transaction.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select, update

from backend.database.connection import Database, now
from backend.database.schema import WAITS_NO_MORE
from backend.suggestions.records import Wanted
from backend.suggestions.tables import predictions


def insert_and_lock(
    database: Database,
    connection: Connection,
    project_uid: str,
    model_version: str,
    chunk: list[Wanted],
) -> dict[tuple[int, str], int]:
    """Insert the rows that are missing, and lock all of them.

    Returns:
        (task id, sha256 of the input) -> id of the row.
    """
    moment = now()
    defaults = {
        "project_uid": project_uid,
        "model_version": model_version,
        "round": 1,
        "attempts": 0,
        "failures": 0,
        "to_deliver": False,
        "deliveries": 0,
        "checks": 0,
        "created_at": moment,
        "asked_at": moment,
    }
    values = [
        {
            **defaults,
            "task_id": one.task_id,
            "image_url": one.image_url,
            "input_sha256": one.input_sha256,
            "task": one.task,
            "status": "failed" if one.refusal else "queued",
            "reason": one.refusal,
            "finished_at": moment if one.refusal else None,
        }
        for one in chunk
    ]
    connection.execute(database.insert(predictions).on_conflict_do_nothing(), values)
    keys = {(one.task_id, one.input_sha256) for one in chunk}
    rows = connection.execute(
        select(predictions.c.id, predictions.c.task_id, predictions.c.input_sha256)
        .where(
            predictions.c.project_uid == project_uid,
            predictions.c.model_version == model_version,
            predictions.c.task_id.in_([one.task_id for one in chunk]),
        )
        .order_by(predictions.c.id)
        .with_for_update()
    )
    found = {(row.task_id, row.input_sha256): row.id for row in rows}
    return {key: found[key] for key in keys}


def mark_requested(
    connection: Connection, ids: Collection[int], to_deliver: bool, request_id: str | None
) -> None:
    """Record when rows were requested and, with `to_deliver`, that they have to be delivered."""
    moment = now()
    requested = predictions.c.id.in_(ids)
    connection.execute(
        update(predictions).where(requested).values(asked_at=moment, request_id=request_id)
    )
    if to_deliver:
        connection.execute(
            update(predictions)
            .where(requested, predictions.c.to_deliver.is_(False))
            .values(to_deliver=True, check_at=moment)
        )


def requeue_failed(connection: Connection, ids: Collection[int], before: datetime) -> None:
    """Queue those of the rows again that failed before a moment; nobody waits for them."""
    connection.execute(
        update(predictions)
        .where(
            predictions.c.id.in_(ids),
            predictions.c.status == "failed",
            predictions.c.finished_at < before,
        )
        .values(
            status="queued",
            reason=None,
            finished_at=None,
            round=predictions.c.round + 1,
            attempts=0,
            failures=0,
            opened_at=None,
            **WAITS_NO_MORE,
        )
    )


def mark_opened(connection: Connection, ids: Collection[int]) -> None:
    """Record that somebody waits for those of the rows that are not ready."""
    connection.execute(
        update(predictions)
        .where(
            predictions.c.id.in_(ids),
            predictions.c.status == "queued",
            predictions.c.opened_at.is_(None),
        )
        .values(opened_at=now())
    )
