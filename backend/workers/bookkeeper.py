"""Beside the jobs of a worker: events go into the verdict log, and lost ones are pulled."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.sync import sync_due

log = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0
ENDS_WITHIN_SECONDS = 3.0


@contextmanager
def bookkeeper(settings: Settings, database: Database) -> Iterator[None]:
    """Inside the block, a thread keeps the log up; many may do it at once."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_keep, args=[settings, database, stop], name="bookkeeper", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        # What it does in the middle of a pull is done again by the next one.
        thread.join(timeout=ENDS_WITHIN_SECONDS)


def _keep(settings: Settings, database: Database, stop: threading.Event) -> None:
    recorder = Recorder(settings, database)
    while not stop.is_set():
        try:
            recorder.drain()
            sync_due(settings, database)
        except SQLAlchemyError as error:
            log.warning("Tried again soon: %s", str(error).partition("\n")[0])
        except Exception:
            log.exception("Tried again soon")
        stop.wait(PAUSE_SECONDS)
