"""Deliver predictions in threads of their own, so that no Label Studio holds up anything else.

Each project has one thread at a time: a Label Studio that hangs slows its own deliveries alone.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from backend.suggestions.delivery import DeliveryService

logger = logging.getLogger(__name__)

PROJECTS_AT_ONCE = 8
# What becomes ready in this time is delivered together, after one look into Label Studio.
GATHERS_SECONDS = 1.0
LOOKS_EVERY_SECONDS = 1.0
# A worker that dies keeps so many of each project waiting for `leases.SHORT_LEASE_SECONDS`.
DELIVERIES_A_ROUND = 10
STOPS_WITHIN_SECONDS = 3.0


class DeliveryThreads:
    """Delivers what is due while its block is open.

    Args:
        service: makes the deliveries; safe for several threads.
    """

    def __init__(self, service: DeliveryService) -> None:
        self._service = service
        self._busy: dict[str, threading.Thread] = {}  # project uid → its thread
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._stop = threading.Event()

    def deliver(self, prediction_id: int) -> None:
        """Have a prediction delivered soon that is due, without waiting for it."""
        self._wanted.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Deliver what is due inside the block."""
        thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._wanted.set()
            # They may be talking to Label Studio; others repeat whatever is interrupted.
            deadline = time.monotonic() + STOPS_WITHIN_SECONDS
            for each in (thread, *self._threads()):
                each.join(timeout=max(0.0, deadline - time.monotonic()))

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._busy.values())

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wanted.clear()
            try:
                self._start()
            except SQLAlchemyError as error:
                logger.warning("Deliveries wait: %s", str(error).partition("\n")[0])
            if not self._stop.wait(GATHERS_SECONDS):
                self._wanted.wait(LOOKS_EVERY_SECONDS)

    def _start(self) -> None:
        """Start a thread for each project that has something due and no thread."""
        for project_uid in self._service.projects_due():
            thread = threading.Thread(
                target=self._deliver_project,
                args=(project_uid,),
                name=f"deliveries of {project_uid}",
                daemon=True,
            )
            with self._lock:
                if project_uid in self._busy or len(self._busy) >= PROJECTS_AT_ONCE:
                    continue
                self._busy[project_uid] = thread
                thread.start()

    def _deliver_project(self, project_uid: str) -> None:
        try:
            while self._service.deliver_due(DELIVERIES_A_ROUND, project_uid):
                if self._stop.is_set():
                    break
        except SQLAlchemyError as error:
            logger.warning("Deliveries wait: %s", str(error).partition("\n")[0])
        except Exception:
            logger.exception("Project %s: its deliveries are tried again soon", project_uid)
        finally:
            with self._lock:
                del self._busy[project_uid]
