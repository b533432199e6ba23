"""The rows that workers could take now."""

from sqlalchemy import select

from backend.database.connection import now
from backend.learning.storage import ExampleStorage
from backend.learning.tables import examples
from backend.outages.storage import is_due
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.tables import predictions
from backend.training.storage import TrainingStorage
from backend.training.tables import trainings

TABLES = {PredictionStorage: predictions, ExampleStorage: examples, TrainingStorage: trainings}


def queued(storage: PredictionStorage | ExampleStorage | TrainingStorage) -> list[tuple[int, int]]:
    """(id, round) of every row that waits for a worker and for nothing else, by id."""
    table = TABLES[type(storage)]
    query = (
        select(table.c.id, table.c.round)
        .where(
            table.c.status.in_(("queued", "waiting")),
            table.c.waiting_for.is_(None),
            is_due(table.c.retry_at, now()),
        )
        .order_by(table.c.id)
    )
    with storage._database.reading() as connection:
        return [(row.id, row.round) for row in connection.execute(query)]
