"""Limit the requests of each project in a minute, those of all web processes together."""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from backend import retries
from backend.queue.own_client import own_client

logger = logging.getLogger(__name__)

PREFIX = "prelabelling:requests:"
MINUTE = 60
BLOCK_SHARE = 0.01  # of the limit, which a process takes from Redis at a time
LONGEST_SECONDS = 0.25  # of a command: Label Studio waits one second for the answer to an event
# The minute of a project begins with its first request.
_TAKE = """
local taken = tonumber(redis.call('GET', KEYS[1]) or '0')
local granted = math.max(0, math.min(tonumber(ARGV[1]), tonumber(ARGV[2]) - taken))
redis.call('INCRBY', KEYS[1], granted)
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return {granted, redis.call('PTTL', KEYS[1])}
"""


@dataclass
class _Block:
    """Requests of a project that this process may admit without asking Redis.

    Attributes:
        left: how many.
        ends_at: when their minute ends, on the monotonic clock.
        is_last: whether Redis had no more of this minute.
    """

    left: int
    ends_at: float
    is_last: bool


class RequestLimit:
    """Admits a number of requests of each project in a minute; safe for several threads.

    Redis hands them out to all processes in blocks, so that hardly any request waits for it, and
    not more than there are. Those that other processes have not used are missing at the end.

    While Redis is away, each process admits as many by itself. Of a Redis that hangs, no thread
    waits longer than `LONGEST_SECONDS` for the answer, or for another thread that waits for it.

    Args:
        connection: says where Redis is; its time-outs are too long for this.
        most: requests of a project in a minute.
    """

    def __init__(self, connection: Redis, most: int) -> None:
        limits = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), LONGEST_SECONDS)
        self._redis = own_client(connection, **limits, retry=None)
        self._most = most
        self._block_size = max(1, int(BLOCK_SHARE * most))
        self._lock = threading.Lock()  # for the blocks
        self._blocks: dict[str, _Block] = {}
        self._asking = threading.Lock()  # for Redis, and for what is known of it
        self._is_away = False
        self._asked_again_at = 0.0  # monotonic clock
        self._own = _OwnCounts()

    def admits(self, key: str) -> bool:
        """Count a request, and return whether it is within the limit.

        Args:
            key: of the project.
        """
        admitted = self._take_from_block(key)
        if admitted is None and self._asking.acquire(timeout=LONGEST_SECONDS):
            try:
                admitted = self._ask(key)
            finally:
                self._asking.release()
        return self._own.add(key) <= self._most if admitted is None else admitted

    def _take_from_block(self, key: str) -> bool | None:
        """Return whether this process may admit a request; None if Redis has to be asked."""
        with self._lock:
            block = self._blocks.get(key)
            if block is None or time.monotonic() >= block.ends_at:
                return None
            if block.left == 0:
                return False if block.is_last else None
            block.left -= 1
            return True

    def _ask(self, key: str) -> bool | None:
        """Return whether Redis admits a request; None while it is away."""
        admitted = self._take_from_block(key)  # another thread may have taken one meanwhile
        if admitted is not None or (self._is_away and time.monotonic() < self._asked_again_at):
            return admitted
        try:
            admitted = self._take_block(key)
        except RedisError as error:
            self._note_absence(error)
            return None
        if self._is_away:
            logger.info("Redis answers: the requests of all web processes are counted together")
            self._is_away = False
        return admitted

    def _take_block(self, key: str) -> bool:
        """Take a block, and one request from it; return False if Redis has no more.

        Raises:
            RedisError: Redis is away.
        """
        began = time.monotonic()
        asked = (f"{PREFIX}{key}", self._block_size, self._most, MINUTE)
        granted, milliseconds = self._redis.eval(_TAKE, 1, *asked)
        ends_at = began + milliseconds / 1000
        with self._lock:
            self._blocks[key] = _Block(
                max(0, granted - 1), ends_at, is_last=granted < self._block_size
            )
        return bool(granted)

    def _note_absence(self, error: RedisError) -> None:
        if not self._is_away:
            logger.warning(
                "Redis cannot be reached, so each web process counts by itself for "
                "MAX_REQUESTS_PER_MINUTE until it can: %s",
                error,
            )
        self._is_away = True
        self._asked_again_at = time.monotonic() + retries.REQUEST_LIMIT.first


class _OwnCounts:
    """Requests of each project in the current minute of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._requests: Counter[str] = Counter()

    def add(self, key: str) -> int:
        """Count a request, and return how many there were in this minute, including this one."""
        minute = int(time.monotonic() // MINUTE)
        with self._lock:
            if self._minute != minute:
                self._minute = minute
                self._requests.clear()
            self._requests[key] += 1
            return self._requests[key]
