"""Store events that come at the same time in one transaction.

Only one transaction at a time writes to SQLite, and each waits for the disk. Of many requests that
wait, one stores the events of all.
"""

import threading
from dataclasses import dataclass

from backend.database.connection import Database
from backend.labelstudio.shapes import Json
from backend.verdicts.storage import EventStorage, NewEvent


@dataclass(eq=False, slots=True)
class _Pending:
    """An event that a thread waits for.

    Attributes:
        is_done: whether it is stored, or cannot be.
        error: why it cannot be stored.
    """

    event: NewEvent
    is_done: bool = False
    error: Exception | None = None


class GroupedEvents:
    """Stores the events of all threads of a process."""

    def __init__(self, database: Database) -> None:
        self._storage = EventStorage(database)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._pending: list[_Pending] = []

    def save_event(self, action: str, project_id: int | None, body: Json) -> None:
        """Store an event; see `EventStorage.save_event`. It is in the database afterwards."""
        pending = _Pending(NewEvent(action, project_id, body))
        with self._lock:
            self._pending.append(pending)
        with self._writing:
            if not pending.is_done:
                with self._lock:
                    group, self._pending = self._pending, []
                self._write(group)
        if pending.error is not None:
            raise pending.error

    def _write(self, group: list[_Pending]) -> None:
        """Store a group; if that fails, each by itself, so that one does not spoil the others."""
        try:
            self._storage.save_events([each.event for each in group])
        except Exception as error:
            if len(group) == 1:
                group[0].error = error
            else:
                for each in group:
                    self._write([each])
        for each in group:
            each.is_done = True
