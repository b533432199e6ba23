"""Leases of predictions that a process is about to deliver, kept for as long as it is at work.

A lease is short and renewed again and again, so that a process that dies keeps others waiting for
seconds only. Before a prediction is sent, its lease is replaced by a long one (`changes.record`):
Label Studio may store what it was sent although the process that sent it is dead.
"""

import logging
import threading
from collections.abc import Mapping
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.records import DeliveryLease

logger = logging.getLogger(__name__)

# Twice the renewal may fail or come late, and clocks may differ by a few seconds.
SHORT_LEASE_SECONDS = 15.0
RENEWED_EVERY_SECONDS = 5.0


class KeptLeases:
    """Renews leases inside its block, each until it is taken.

    One that is lost meanwhile is returned all the same: nothing can be recorded with it.
    """

    def __init__(self, deliveries: DeliveryStorage, leases: Mapping[int, DeliveryLease]) -> None:
        self._deliveries = deliveries
        self._leases = dict(leases)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def take(self, prediction_id: int) -> DeliveryLease:
        """Return a lease and renew it no more: whoever takes it replaces or ends it at once."""
        with self._lock:
            return self._leases.pop(prediction_id)

    def renew(self) -> None:
        """Renew the leases that are not taken."""
        with self._lock:
            if self._leases:
                held = list(self._leases.values())
                self._leases |= self._deliveries.extend_all(held, SHORT_LEASE_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(RENEWED_EVERY_SECONDS):
            try:
                self.renew()
            except SQLAlchemyError as error:
                logger.warning("Leases are not renewed: %s", str(error).partition("\n")[0])
