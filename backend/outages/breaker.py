"""A circuit breaker a service: what is away gets one probe at a time, not every request.

Its state is in the database, so that it holds for all processes.
"""

import logging
import math
import time
from typing import Protocol

from backend import retries
from backend.database.connection import Database
from backend.outages.storage import OutageStorage

logger = logging.getLogger(__name__)

# As long as a request waits for an answer, and a bit.
PROBE_SECONDS = 15.0
# How long a service that has not failed counts as sound without another look.
KNOWN_SECONDS = 1.0
MOST_REMEMBERED = 1000  # services


class ServiceAway(Exception):
    """A service is away, and this is not the moment to find out whether it is back."""


class Breaker(Protocol):
    """Knows which services are away."""

    def check(self, service: str) -> bool:
        """Raise `ServiceAway` unless a request may be sent now.

        Returns:
            Whether the service's latest request failed, so that a success has to be recorded.
        """

    def succeeded(self, service: str) -> None:
        """Record that a service answered as it should."""

    def failed(
        self, service: str, reason: str, *, certain: bool, retry_after: float | None
    ) -> bool:
        """Record a failure outside of the task.

        Args:
            certain: the service as a whole is away: it did not accept a connection, or says so.
            retry_after: s until it wants to be asked again, if it says that.

        Returns:
            Whether it counts as away now.
        """


class NoBreaker:
    """Lets every request pass, for commands that report what they find."""

    def check(self, service: str) -> bool:
        """Let the request pass."""
        return False

    def succeeded(self, service: str) -> None:
        """Record nothing."""

    def failed(
        self, service: str, reason: str, *, certain: bool, retry_after: float | None
    ) -> bool:
        """Record nothing."""
        return False


class SharedBreaker:
    """The breaker of all processes that use a database; safe for several threads.

    A failure that another process records is seen within `KNOWN_SECONDS`.
    """

    def __init__(self, database: Database) -> None:
        self._outages = OutageStorage(database)
        self._sound_until: dict[str, float] = {}  # service → monotonic time

    def check(self, service: str) -> bool:
        """Let a request pass if the service is not away, or as its probe; see `Breaker.check`.

        Raises:
            ServiceAway: neither.
        """
        moment = time.monotonic()
        if self._sound_until.get(service, -math.inf) > moment:
            return False
        outage = self._outages.outage(service)
        if outage is None:
            if len(self._sound_until) >= MOST_REMEMBERED:  # callers can name any host of images
                self._sound_until.clear()
            self._sound_until[service] = moment + KNOWN_SECONDS
            return False
        if outage.is_away and not self._outages.claim_probe(service, PROBE_SECONDS):
            raise ServiceAway(f"waiting for the {service}: {outage.reason}")
        return True

    def succeeded(self, service: str) -> None:
        """End the outage of a service, if there was one."""
        outage = self._outages.outage(service)
        if outage is not None and self._outages.end(service) and outage.is_away:
            logger.info("The %s is back", service)

    def failed(
        self, service: str, reason: str, *, certain: bool, retry_after: float | None
    ) -> bool:
        """Count a failure; see `Breaker.failed`."""
        self._sound_until.pop(service, None)

        def pause(failures: int) -> float:
            wanted = min(retry_after or 0.0, retries.LONGEST_PAUSE)
            return max(wanted, retries.jittered(retries.PROBE.pause(failures)))

        limit = 1 if certain or retry_after else retries.FAILURES_UNTIL_AWAY
        found = self._outages.record_failure(service, reason, limit=limit, pause=pause)
        if found.is_away and found.failures == limit:
            logger.warning("The %s is away; its work waits: %s", service, reason)
        return found.is_away
