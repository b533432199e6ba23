"""One line a minute, with a count, in place of a storm of equal warnings and errors."""

import atexit
import copy
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_SECONDS = 60.0
MOST_REMEMBERED = 1000  # kinds of messages
LONGEST_KEY = 500  # characters
_VARYING = re.compile(r"\w*\d\w*")  # ids, times, ports

Key = tuple[str, int, str, str]


@dataclass(slots=True)
class _Storm:
    """Equal messages within the current window; `ends` is on the monotonic clock."""

    ends: float
    held_back: int = 0
    latest: logging.LogRecord | None = None


class StormFilter(logging.Filter):
    """Let the first of equal messages pass, and count the others until the end of a window.

    Messages are equal if logger, level, type of exception and first line are, except for words
    with digits, such as the number of a task. Only warnings and worse are held back.

    Args:
        emit: writes the line that counts them.
        window: s.
    """

    def __init__(
        self, emit: Callable[[logging.LogRecord], object], window: float = WINDOW_SECONDS
    ) -> None:
        super().__init__()
        self._emit = emit
        self._window = window
        self._lock = threading.Lock()
        self._storms: dict[Key, _Storm] = {}
        os.register_at_fork(after_in_child=self._forget)  # timers do not survive a fork
        atexit.register(self.flush)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record may be written."""
        if record.levelno < logging.WARNING:
            return True
        key, moment = _key(record), time.monotonic()
        with self._lock:
            storm = self._storms.get(key)
            if storm is None or (storm.ends <= moment and not storm.held_back):
                self._begin(key, moment)
                return True
            if not storm.held_back:
                self._start_timer(key, storm.ends - moment)
            storm.held_back += 1
            storm.latest = record
        return False

    def flush(self) -> None:
        """Write the counts of all messages that are held back."""
        with self._lock:
            storms, self._storms = self._storms, {}
        for storm in storms.values():
            self._write(storm)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._storms = {}

    def _begin(self, key: Key, moment: float) -> None:
        if len(self._storms) >= MOST_REMEMBERED:
            self._storms = {
                each: storm
                for each, storm in self._storms.items()
                if storm.held_back or storm.ends > moment
            }
        if len(self._storms) < MOST_REMEMBERED:
            self._storms[key] = _Storm(moment + self._window)

    def _start_timer(self, key: Key, seconds: float) -> None:
        timer = threading.Timer(max(0.0, seconds), self._end_window, [key])
        timer.daemon = True
        timer.start()

    def _end_window(self, key: Key) -> None:
        """Write the count, and hold back what comes within the next window as well."""
        with self._lock:
            storm = self._storms.pop(key, None)
            self._begin(key, time.monotonic())
        if storm is not None:
            self._write(storm)

    def _write(self, storm: _Storm) -> None:
        if storm.latest is None:
            return
        summary = copy.copy(storm.latest)
        more = "1 more line" if storm.held_back == 1 else f"{storm.held_back} more lines"
        summary.msg = f"{storm.latest.getMessage()} ({more} like this within {self._window:g} s)"
        summary.args = None
        summary.exc_info = summary.exc_text = None
        self._emit(summary)


def _key(record: logging.LogRecord) -> Key:
    error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
    first_line = record.getMessage().partition("\n")[0][:LONGEST_KEY]
    return record.name, record.levelno, error, _VARYING.sub("#", first_line)
