"""SQL about predictions; about their deliveries see `delivery_storage`.

Every change of state is one transaction, and a condition inside its `UPDATE` decides between those
who want the same thing at the same moment, so that any number of web processes and workers may be
stopped at any time.
"""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    select,
    update,
)

from backend.database.connection import CHUNK, Database, now
from backend.database.text import storable
from backend.suggestions.records import (
    Delivery,
    Prediction,
    Wanted,
    detection_from_json,
    detection_to_json,
)
from backend.suggestions.tables import deliveries, predictions
from model.keypoint import Detection

DELIVERED = fields(Delivery)


class PredictionStorage:
    """The table of predictions.

    A prediction is `queued` until a worker has found it (`ready`) or given up (`failed`).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def request(
        self,
        project_uid: str,
        model_version: str,
        wanted: Sequence[Wanted],
        *,
        retry_failed_before: datetime,
        to_deliver: bool = True,
    ) -> list[Prediction]:
        """Make a row for each that has none, and queue again those that failed before a moment.

        Args:
            project_uid: of a project that is known already.
            to_deliver: Label Studio is to have them; once wanted, always wanted.

        Returns:
            The rows, in the order of `wanted`; the same one twice where it is wanted twice.
        """
        found: dict[tuple[int, str], Prediction] = {}
        # In one order everywhere, so that two requests never wait for each other's rows.
        ordered = sorted(wanted, key=lambda one: (one.task_id, one.input_sha256))
        for start in range(0, len(ordered), CHUNK):
            chunk = ordered[start : start + CHUNK]
            with self._database.writing() as connection:
                ids = self._rows_for(connection, project_uid, model_version, chunk)
                _touch(connection, ids.values(), to_deliver)
                possible = [
                    ids[one.task_id, one.input_sha256] for one in chunk if one.refusal is None
                ]
                _queue_failed(connection, possible, retry_failed_before)
                asked = _select_predictions().where(predictions.c.id.in_(ids.values()))
                for row in connection.execute(asked):
                    found[row.task_id, row.input_sha256] = _prediction(row)
        return [found[one.task_id, one.input_sha256] for one in wanted]

    def _rows_for(
        self, connection: Connection, project_uid: str, model_version: str, chunk: list[Wanted]
    ) -> dict[tuple[int, str], int]:
        """Ids of the rows by task and input, locked; made where they are missing."""
        moment = now()
        fresh = {
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
                **fresh,
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
        connection.execute(self._database.insert(predictions).on_conflict_do_nothing(), values)
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

    def prediction(self, prediction_id: int) -> Prediction | None:
        """A row, or None where there is none."""
        found = self.predictions([prediction_id])
        return found[0] if found else None

    def predictions(self, ids: Sequence[int]) -> list[Prediction]:
        """The rows that there are, in the order of their ids."""
        found: list[Prediction] = []
        with self._database.reading() as connection:
            for start in range(0, len(ids), CHUNK):
                chunk = sorted(ids)[start : start + CHUNK]
                asked = _select_predictions().where(predictions.c.id.in_(chunk))
                rows = connection.execute(asked.order_by(predictions.c.id))
                found.extend(_prediction(row) for row in rows)
        return found

    def of_task(self, task_id: int, project_uid: str | None = None) -> list[Prediction]:
        """Every prediction of a task, of one project or of all; the last one asked for first.

        What an annotator only looked at while drawing comes after all others.
        """
        asked = _select_predictions().where(predictions.c.task_id == task_id)
        if project_uid is not None:
            asked = asked.where(predictions.c.project_uid == project_uid)
        newest = (
            predictions.c.to_deliver.desc(),
            predictions.c.asked_at.desc(),
            predictions.c.id.desc(),
        )
        with self._database.reading() as connection:
            return [_prediction(row) for row in connection.execute(asked.order_by(*newest))]

    def finished(self, ids: Sequence[int]) -> set[int]:
        """Which of these are queued no more."""
        found: set[int] = set()
        with self._database.reading() as connection:
            for start in range(0, len(ids), CHUNK):
                rows = connection.scalars(
                    select(predictions.c.id).where(
                        predictions.c.id.in_(ids[start : start + CHUNK]),
                        predictions.c.status != "queued",
                    )
                )
                found.update(rows)
        return found

    def queued(self, after: int, limit: int) -> list[tuple[int, int]]:
        """(id, round) of rows that wait for a worker, in the order of ids, from behind `after`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(predictions.c.id, predictions.c.round)
                .where(predictions.c.status == "queued", predictions.c.id > after)
                .order_by(predictions.c.id)
                .limit(limit)
            )
            return [(row.id, row.round) for row in rows]

    def begin(self, prediction_id: int) -> Prediction | None:
        """Count that a worker starts on it; None where there is no such row."""
        self._change(
            prediction_id,
            predictions.c.status == "queued",
            attempts=predictions.c.attempts + 1,
            started_at=now(),
        )
        return self.prediction(prediction_id)

    def take_back(self, prediction_id: int) -> None:
        """Uncount a start that came to no end through no fault of the task."""
        self._change(
            prediction_id,
            predictions.c.status == "queued",
            attempts=predictions.c.attempts - 1,
            started_at=None,
        )

    def next_round(self, prediction_id: int, after: int) -> bool:
        """Go on from round `after`, whose job was lost; False where somebody else has."""
        return self._change(
            prediction_id,
            predictions.c.status == "queued",
            predictions.c.round == after,
            round=after + 1,
        )

    def finish(self, prediction_id: int, detection: Detection) -> None:
        """Keep what was found; where something was found before, that stays."""
        moment = now()
        waited_for = predictions.c.waiting_until
        self._change(
            prediction_id,
            predictions.c.status == "queued",
            status="ready",
            reason=None,
            detection=detection_to_json(detection),
            finished_at=moment,
            check_at=case((waited_for > moment, waited_for), else_=moment),
        )

    def fail(self, prediction_id: int, reason: str) -> None:
        """Give up, for a reason; where something was found meanwhile, that stays."""
        self._change(
            prediction_id,
            predictions.c.status == "queued",
            status="failed",
            reason=storable(reason),
            finished_at=now(),
        )

    def try_again(self, prediction_id: int, reason: str, *, limit: int) -> bool:
        """Count a failure that may pass; with more than `limit` of them, give up.

        Returns:
            Whether to try again.
        """
        self._change(
            prediction_id,
            predictions.c.status == "queued",
            failures=predictions.c.failures + 1,
            reason=storable(reason),
        )
        given_up = self._change(
            prediction_id,
            predictions.c.status == "queued",
            predictions.c.failures > limit,
            status="failed",
            finished_at=now(),
        )
        return not given_up

    def predictions_by_status(self) -> dict[str, int]:
        """How many predictions there are of each status."""
        return count_by(self._database, predictions.c.status)

    def _change(
        self, prediction_id: int, *conditions: ColumnElement[bool], **values: object
    ) -> bool:
        """Change one row where the conditions hold; whether it did."""
        with self._database.writing() as connection:
            result = connection.execute(
                update(predictions)
                .where(predictions.c.id == prediction_id, *conditions)
                .values(**values)
            )
        return result.rowcount == 1


def count_by(database: Database, column: Column[Any]) -> dict[str, int]:
    """Count the rows of a table for each value of a column."""
    with database.reading() as connection:
        rows = connection.execute(select(column, func.count()).group_by(column))
        return {row[0]: row[1] for row in rows}


def _touch(connection: Connection, ids: Collection[int], to_deliver: bool) -> None:
    """Note that these were asked for, and whether Label Studio is to have them."""
    moment = now()
    mine = predictions.c.id.in_(ids)
    connection.execute(update(predictions).where(mine).values(asked_at=moment))
    if to_deliver:
        connection.execute(
            update(predictions)
            .where(mine, predictions.c.to_deliver.is_(False))
            .values(to_deliver=True, check_at=moment)
        )


def _queue_failed(connection: Connection, ids: Collection[int], before: datetime) -> None:
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
        )
    )


def _select_predictions() -> Select[Any]:
    """Rows of predictions, each with its latest delivery."""
    latest = and_(
        deliveries.c.prediction_id == predictions.c.id,
        deliveries.c.number == predictions.c.deliveries,
    )
    columns = [deliveries.c[field.name].label(f"delivery_{field.name}") for field in DELIVERED]
    return select(predictions, *columns).join(deliveries, latest, isouter=True)


def _prediction(row: Row[Any]) -> Prediction:
    values = dict(row._mapping)
    delivered = {field.name: values.pop(f"delivery_{field.name}") for field in DELIVERED}
    values["delivery"] = None if delivered["number"] is None else Delivery(**delivered)
    if values["detection"] is not None:
        values["detection"] = detection_from_json(values["detection"])
    return Prediction(**values)
