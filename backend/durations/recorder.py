"""Measure durations in this process, and add them to the database every few seconds.

A process that ends loses the counts since then, and nothing else.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database, now
from backend.durations.records import Measured, Series, Stage
from backend.durations.storage import DurationStorage, SeriesKey

logger = logging.getLogger(__name__)

STORED_EVERY_SECONDS = 5.0


class DurationRecorder:
    """Counts durations until they are stored; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[SeriesKey, Series] = {}

    def add(self, measured: Measured, label: str, seconds: float) -> None:
        """Count one duration."""
        with self._lock:
            self._series.setdefault((measured, label), Series()).add(seconds)

    def store(self, database: Database) -> None:
        """Add what was counted to the database; what cannot be stored is kept for the next time."""
        with self._lock:
            counted, self._series = self._series, {}
        if not counted:
            return
        try:
            DurationStorage(database).add(counted)
        except SQLAlchemyError:
            with self._lock:
                _put_back(self._series, counted)
            raise


def _put_back(series: dict[SeriesKey, Series], counted: dict[SeriesKey, Series]) -> None:
    for key, each in counted.items():
        known = series.setdefault(key, Series())
        for place, count in enumerate(each.counts):
            known.counts[place] += count
            known.seconds[place] += each.seconds[place]


_recorder = DurationRecorder()


def record_stage(stage: Stage, seconds: float) -> None:
    """Count the duration of a stage of the work."""
    _recorder.add("stage", stage, seconds)


@contextmanager
def measured_stage(stage: Stage) -> Iterator[None]:
    """Count how long the block takes, unless it fails."""
    began = time.perf_counter()
    yield
    record_stage(stage, time.perf_counter() - began)


def record_suggestion(way: str, asked_at: datetime) -> None:
    """Count the time from the request for a suggestion until now, when Label Studio gets it."""
    _recorder.add("suggestion", way, (now() - asked_at).total_seconds())


def store_durations(database: Database) -> None:
    """Add what this process has counted to the database.

    Raises:
        SQLAlchemyError: the database cannot be used; the counts are kept.
    """
    _recorder.store(database)


def store_in_background(database: Database) -> None:
    """Store what this process counts every few seconds, as long as it lives."""

    def run() -> None:
        while True:
            time.sleep(STORED_EVERY_SECONDS)
            try:
                store_durations(database)
            except SQLAlchemyError as error:
                logger.debug("Durations wait: %s", str(error).partition("\n")[0])

    threading.Thread(target=run, name="durations", daemon=True).start()
