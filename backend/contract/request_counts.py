"""Count the requests of each project in a minute, of all processes together."""

import logging
import threading
import time
from collections import Counter

from redis import Redis
from redis.exceptions import RedisError

from backend import retries
from backend.queue.own_client import own_client

logger = logging.getLogger(__name__)

PREFIX = "prelabelling:requests:"
MINUTE = 60
LONGEST_SECONDS = 0.25  # of a command: Label Studio waits one second for the answer to an event
MOST_CONNECTIONS = 10_000  # one for each thread that counts at the same moment
# The minute of a project begins with its first request; nothing is left of it afterwards.
_ADD = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return count
"""


class RequestCounts:
    """Counts requests in Redis, or in this process alone while Redis is away.

    Safe for several threads. One that meets a Redis that hangs waits for `LONGEST_SECONDS`, and the
    others do not ask it.

    Args:
        connection: says where Redis is; its time-outs are too long for this.
    """

    def __init__(self, connection: Redis) -> None:
        limits = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), LONGEST_SECONDS)
        self._redis = own_client(connection, **limits, retry=None, max_connections=MOST_CONNECTIONS)
        self._own = _OwnCounts()
        self._lock = threading.Lock()
        self._away_until: float | None = None  # on the monotonic clock; None while Redis answers

    def add(self, key: str) -> int:
        """Count a request, and return how many there were in this minute, including this one.

        Args:
            key: of the project.
        """
        if not self._may_ask():
            return self._own.add(key)
        try:
            count = int(self._redis.eval(_ADD, 1, f"{PREFIX}{key}", MINUTE))
        except RedisError as error:
            self._note_absence(error)
            return self._own.add(key)
        self._note_answer()
        return count

    def _may_ask(self) -> bool:
        """Return whether to ask Redis; of one that is away, one request at a time finds out."""
        with self._lock:
            if self._away_until is None:
                return True
            if time.monotonic() < self._away_until:
                return False
            self._leave_out()
            return True

    def _leave_out(self) -> None:
        self._away_until = time.monotonic() + retries.REQUEST_COUNTS.first

    def _note_absence(self, error: RedisError) -> None:
        with self._lock:
            was_away = self._away_until is not None
            self._leave_out()
        if not was_away:
            logger.warning(
                "Redis cannot be reached, so each web process counts by itself for "
                "MAX_REQUESTS_PER_MINUTE until it can: %s",
                error,
            )

    def _note_answer(self) -> None:
        with self._lock:
            was_away = self._away_until is not None
            self._away_until = None
        if was_away:
            logger.info("Redis answers: requests of all web processes are counted together again")


class _OwnCounts:
    """Requests of each project in the current minute of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._requests: Counter[str] = Counter()

    def add(self, key: str) -> int:
        """Count a request; see `RequestCounts.add`."""
        minute = int(time.monotonic() // MINUTE)
        with self._lock:
            if self._minute != minute:
                self._minute = minute
                self._requests.clear()
            self._requests[key] += 1
            return self._requests[key]
