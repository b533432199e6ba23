"""SQL that the storages of predictions and deliveries share."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    case,
    func,
    literal,
    select,
    update,
)

from backend.database.connection import CHUNK, Database, now
from backend.database.schema import WAITS_NO_MORE
from backend.outages.due_storage import DueRows
from backend.outages.queries import count_by_reason, given_up_reason, retry, waits
from backend.outages.records import JobFilter, WaitCount
from backend.outages.storage import WaitingRows
from backend.retries import LONGEST_PAUSE
from backend.suggestions.objects import objects_from_json
from backend.suggestions.records import (
    Delivery,
    PredictedImage,
    Prediction,
    detection_from_json,
)
from backend.suggestions.several_images import images_in
from backend.suggestions.tables import (
    WAITS_IN_BATCH,
    WAITS_OPENED,
    deliveries,
    prediction_images,
    predictions,
)

DELIVERY_FIELDS = [field.name for field in fields(Delivery)]


@cache
def select_predictions() -> Select[Any]:
    """Select predictions, each with its latest delivery."""
    latest = and_(
        deliveries.c.prediction_id == predictions.c.id,
        deliveries.c.number == predictions.c.deliveries,
    )
    columns = [deliveries.c[name].label(f"delivery_{name}") for name in DELIVERY_FIELDS]
    return select(predictions, *columns).join(deliveries, latest, isouter=True)


def prediction_from_row(row: Row[Any]) -> Prediction:
    """Convert a row of `select_predictions`."""
    values = dict(row._mapping)
    delivery = {name: values.pop(f"delivery_{name}") for name in DELIVERY_FIELDS}
    values["delivery"] = None if delivery["number"] is None else Delivery(**delivery)
    if values["detection"] is not None:
        values["detection"] = detection_from_json(values["detection"])
    values["objects"] = objects_from_json(values["objects"] or ())
    return Prediction(**values)


def with_images(connection: Connection, rows: Sequence[Prediction]) -> list[Prediction]:
    """Return predictions with what was found on each image of the tasks that have several."""
    several = [row.id for row in rows if images_in(row.task)]
    if not several:
        return list(rows)
    found = images_of_predictions(connection, several)
    return [
        replace(row, images=_with_first(found[row.id], row)) if row.id in found else row
        for row in rows
    ]


def _with_first(images: Sequence[PredictedImage], row: Prediction) -> list[PredictedImage]:
    return [replace(images[0], detection=row.detection, objects=row.objects), *images[1:]]


def images_of_predictions(
    connection: Connection, ids: Collection[int]
) -> Mapping[int, list[PredictedImage]]:
    """Return prediction → the images of its task, if it has several and they are made.

    What was found on the first of them stands in the prediction itself.
    """
    wanted, found = sorted(ids), dict[int, list[PredictedImage]]()
    for start in range(0, len(wanted), CHUNK):
        of = prediction_images.c.prediction_id
        query = select(prediction_images).where(of.in_(wanted[start : start + CHUNK]))
        for row in connection.execute(query.order_by(of, prediction_images.c.number)):
            detection = None if row.detection is None else detection_from_json(row.detection)
            objects = objects_from_json(row.objects or ())
            image = PredictedImage(row.to_name, row.image_url, detection, row.reason, objects)
            found.setdefault(row.prediction_id, []).append(image)
    return found


def image_of_state(state: FromClause) -> ColumnElement[bool]:
    """Return the condition by which `prediction_images` is joined to states of annotations."""
    return and_(
        prediction_images.c.prediction_id == state.c.prediction_id,
        prediction_images.c.number == state.c.image_number,
    )


def of_image(name: str) -> ColumnElement[Any]:
    """Select what a prediction holds about the image of a state; see `image_of_state`.

    Args:
        name: a column of both `predictions` and `prediction_images`.
    """
    further = prediction_images.c.number > 0
    return case((further, prediction_images.c[name]), else_=predictions.c[name])


def detection_box() -> ColumnElement[Any]:
    """Select the part of the image of a state that was searched, as JSON; see `of_image`."""
    first, further = (each.c.detection["box"] for each in (predictions, prediction_images))
    return case((prediction_images.c.number > 0, further), else_=first)


def update_prediction(
    database: Database, prediction_id: int, *conditions: ColumnElement[bool], **values: object
) -> bool:
    """Change one row of predictions if the conditions hold, and return whether they did."""
    with database.writing() as connection:
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


def waiting_predictions(database: Database) -> WaitingRows:
    """Return the predictions that wait for a service, to be made or to be delivered."""

    def due_at(moment: datetime) -> dict[str, Any]:
        is_ready = predictions.c.status == "ready"
        return {"check_at": case((is_ready, moment), else_=predictions.c.check_at)}

    return WaitingRows(database, predictions, due_at)


def due_predictions(database: Database, *, opened: bool) -> DueRows:
    """Return the predictions that workers can make now: for opened tasks, or all others."""
    if opened:
        order = (predictions.c.opened_at, predictions.c.id)
        return DueRows(database, predictions, WAITS_OPENED, order)
    return DueRows(database, predictions, WAITS_IN_BATCH, (predictions.c.id,))


def give_up_waiting(database: Database, before: datetime) -> int:
    """Give up the predictions that have waited since before a moment, and count them.

    One that is ready is kept here; only its delivery is given up.
    """
    waiting, status = waiting_predictions(database), predictions.c.status
    ended = {
        "status": "failed",
        "finished_at": now(),
        "reason": given_up_reason(predictions),
    }
    undelivered = waiting.give_up(before, status == "ready", check_at=None)
    return undelivered + waiting.give_up(before, status == "queued", **ended)


def deliver_what_waits_too_long(database: Database) -> int:
    """Make due what is to be delivered at a moment in the far future, and count it.

    No pause is as long: the clock was set back since. Whoever held a lease holds it no more.
    """
    moment = now()
    far = moment + timedelta(seconds=2 * LONGEST_PAUSE)
    waiting = update(predictions).where(undelivered(), predictions.c.check_at > far)
    with database.writing() as connection:
        due = waiting.values(check_at=moment, busy_until=None, waiting_until=None)
        return connection.execute(due).rowcount


def undelivered() -> ColumnElement[bool]:
    """Return the condition of a partial index: predictions to deliver, or to look up once more.

    For status = 'ready', SQLite would take the index of the status, and read all of its rows.
    """
    unmade = [literal(status, literal_execute=True) for status in ("queued", "failed")]
    return and_(predictions.c.status.not_in(unmade), predictions.c.check_at.is_not(None))


def count_predictions(database: Database, wanted: JobFilter) -> list[WaitCount]:
    """Count the predictions that are not made, and those that are not delivered, by reason."""
    status = predictions.c.status
    kinds = {
        "prediction": (status == "queued", status == "failed"),
        "delivery": (and_(undelivered(), predictions.c.reason.is_not(None)), None),
    }
    return [
        one
        for kind, (pending, failed) in kinds.items()
        for one in count_by_reason(
            database,
            predictions,
            wanted,
            kind=kind,
            pending=pending,
            failed=failed,
            asked_at=predictions.c.asked_at,
        )
    ]


def retry_predictions(database: Database, wanted: JobFilter) -> int:
    """Have predictions that failed or wait made now, and those that wait delivered; count them."""
    status, waiting = predictions.c.status, waits(predictions)
    anew = {
        "status": "queued",
        "finished_at": None,
        "round": predictions.c.round + 1,
        "attempts": 0,
        "failures": 0,
        "opened_at": None,
    }
    steps: list[tuple[ColumnElement[bool], dict[str, Any]]] = [
        (status == "failed", anew),
        (and_(status == "queued", waiting), {}),
        (and_(status == "ready", predictions.c.reason.is_not(None), waiting), {"check_at": now()}),
    ]
    with database.writing() as connection:
        return sum(
            retry(connection, predictions, wanted, condition, {**values, **WAITS_NO_MORE})
            for condition, values in steps[::-1]
        )
