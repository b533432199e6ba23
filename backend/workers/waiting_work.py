"""Let work go on once what it waits for is back, and find out whether it is."""

import logging
import time
from datetime import timedelta

from backend.database.connection import Database, now
from backend.learning.queries import give_up_waiting_examples, waiting_examples
from backend.outages.storage import OutageStorage
from backend.settings import Settings
from backend.suggestions.queries import (
    deliver_what_waits_too_long,
    give_up_waiting,
    waiting_predictions,
)
from backend.training.queries import give_up_waiting_trainings, waiting_trainings

logger = logging.getLogger(__name__)

PROBES_EVERY_SECONDS = 5.0
GIVES_UP_EVERY_SECONDS = 60.0
UNASKED = timedelta(days=1)  # after which a service is forgotten that nothing waits for


class WaitingWork:
    """The work of all kinds that waits for services; any number of workers may tend it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._patience = timedelta(seconds=settings.give_up_after)
        self._database = database
        self._outages = OutageStorage(database)
        self._rows = (
            waiting_predictions(database),
            waiting_examples(database),
            waiting_trainings(database),
        )
        self._probed_at: dict[str, float] = {}  # service → monotonic time
        self._gave_up_at = time.monotonic()

    def tend(self) -> bool:
        """Let rows go on: all whose service is back, and one for each that may be.

        Returns:
            Whether there were any, so that the queues should be swept now.
        """
        away = self._outages.away()
        woken = sum(rows.wake([outage.service for outage in away]) for rows in self._rows)
        if woken:
            logger.info("%d tasks go on, as what they waited for is back", woken)
        moment = now()
        due = [outage.service for outage in away if outage.probe_at <= moment]
        probes = sum(self._probe(service) for service in due)
        if time.monotonic() - self._gave_up_at > GIVES_UP_EVERY_SECONDS:
            self._give_up()
            deliver_what_waits_too_long(self._database)
        return woken + probes > 0

    def _probe(self, service: str) -> bool:
        """Let one row find out whether its service is back, unless one is about to do so."""
        last = self._probed_at.get(service)
        if last is not None and time.monotonic() - last < PROBES_EVERY_SECONDS:
            return False
        self._probed_at[service] = time.monotonic()
        return any(rows.wake_one(service) for rows in self._rows)

    def _give_up(self) -> None:
        self._gave_up_at = time.monotonic()
        before = now() - self._patience
        count = give_up_waiting(self._database, before)
        count += give_up_waiting_examples(self._database, before)
        count += give_up_waiting_trainings(self._database, before)
        waited_for = {service for rows in self._rows for service in rows.counts()}
        self._outages.forget(now() - UNASKED, waited_for)
        self._probed_at = {name: at for name, at in self._probed_at.items() if name in waited_for}
        if count:
            logger.warning("%d tasks are given up: they waited for too long", count)
