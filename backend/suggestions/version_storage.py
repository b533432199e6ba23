"""SQL that has a prediction made by another version of the model than it was requested of."""

from sqlalchemy import and_, delete, update
from sqlalchemy.exc import IntegrityError

from backend.database.connection import Database, now
from backend.suggestions.records import Prediction, Wanted
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.tables import predictions


def change_version(database: Database, row: Prediction, model_version: str) -> Prediction | None:
    """Have a queued prediction made by another version than its own.

    Where the other version has a row for the same task and input already, that one is requested,
    and this row is deleted.

    Returns:
        The row with the other version; None if it was deleted, or is no longer queued.
    """
    storage = PredictionStorage(database)
    this = and_(predictions.c.id == row.id, predictions.c.status == "queued")
    try:
        with database.writing() as connection:
            connection.execute(update(predictions).where(this).values(model_version=model_version))
    except IntegrityError:
        storage.request(
            row.project_uid,
            model_version,
            [Wanted(row.task_id, row.image_url, row.input_sha256, row.task)],
            retry_failed_before=now(),
            to_deliver=row.to_deliver,
            opened=row.opened_at is not None,
            request_id=row.request_id,
        )
        with database.writing() as connection:
            connection.execute(delete(predictions).where(this))
        return None
    changed = storage.prediction(row.id)
    return changed if changed is not None and changed.status == "queued" else None
