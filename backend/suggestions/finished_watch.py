"""Let many threads wait until workers have finished rows, with one query for all of them."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
POLL_SHARE = 0.1  # largest share of the time that queries may take


def pause_after_poll(seconds: float) -> float:
    """Return the pause, in s, after a poll that took this many seconds."""
    return max(POLL_SECONDS, seconds / POLL_SHARE)


@dataclass(eq=False, slots=True)
class _Waiter:
    """A thread that waits, and the ids of the rows that it waits for."""

    ids: set[int]
    done: threading.Event = field(default_factory=threading.Event)


class FinishedWatch:
    """Waits for rows; a thread asks the database while anybody waits.

    Args:
        finished: returns those of the ids whose rows are finished.
    """

    def __init__(self, finished: Callable[[Sequence[int]], set[int]]) -> None:
        self._finished = finished
        self._lock = threading.Lock()
        self._waiters: set[_Waiter] = set()
        self._thread: threading.Thread | None = None

    def wait(self, ids: Collection[int], deadline: float) -> None:
        """Return when every row is finished, at the deadline (monotonic clock) at the latest."""
        seconds = deadline - time.monotonic()
        if not ids or seconds <= 0:
            return
        waiter = _Waiter(set(ids))
        with self._lock:
            self._waiters.add(waiter)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
                self._thread.start()
        waiter.done.wait(seconds)
        with self._lock:
            self._waiters.discard(waiter)

    def _run(self) -> None:
        while True:
            with self._lock:
                waiters = list(self._waiters)
                if not waiters:
                    self._thread = None
                    return
            began = time.monotonic()
            self._poll(waiters)
            time.sleep(pause_after_poll(time.monotonic() - began))

    def _poll(self, waiters: Sequence[_Waiter]) -> None:
        try:
            finished = self._finished(sorted(set().union(*(each.ids for each in waiters))))
        except SQLAlchemyError as error:
            logger.warning("Asked again soon: %s", str(error).partition("\n")[0])
            return
        except Exception:
            logger.exception("Asked again soon")
            return
        for waiter in waiters:
            waiter.ids -= finished
            if not waiter.ids:
                waiter.done.set()
