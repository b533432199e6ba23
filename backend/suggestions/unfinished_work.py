"""All work that is not done, whatever its kind: listed by reason, and tried again on request."""

from backend.database.connection import Database
from backend.learning.queries import count_examples, retry_examples
from backend.outages.records import JobFilter, Outage, WaitCount
from backend.outages.storage import OutageStorage
from backend.suggestions.queries import count_predictions, retry_predictions
from backend.training.queries import count_trainings, retry_trainings


class UnfinishedWork:
    """Predictions, deliveries, corrected images and trainings that are not done."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._outages = OutageStorage(database)

    def counts(self, wanted: JobFilter) -> list[WaitCount]:
        """Count what is not done, by kind, project, state and reason."""
        return [
            *count_predictions(self._database, wanted),
            *count_examples(self._database, wanted),
            *count_trainings(self._database, wanted),
        ]

    def away(self) -> list[Outage]:
        """Return the services that are away now."""
        return self._outages.away()

    def retry(self, wanted: JobFilter) -> int:
        """Try again now what waits, failed or was given up, and count it; workers do it soon."""
        return (
            retry_predictions(self._database, wanted)
            + retry_examples(self._database, wanted)
            + retry_trainings(self._database, wanted)
        )
