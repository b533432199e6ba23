"""Wake the maintenance of one worker where there is something to record or to request.

Without it, it is found by the next round: nothing depends on a wake that is lost.
"""

import logging
import threading

from redis import Redis
from redis.exceptions import RedisError

from backend.queue.own_client import own_client

logger = logging.getLogger(__name__)

KEY = "prelabelling:wake"
KEPT_SECONDS = 60  # where no worker is there
SLICE_SECONDS = 1  # how long at most to wait before looking whether to stop


def wake(connection: Redis) -> None:
    """Wake a worker that waits, or the next that does; several wakes at a time are one."""
    try:
        with connection.pipeline() as pipeline:
            pipeline.lpush(KEY, 1)
            pipeline.ltrim(KEY, 0, 0)
            pipeline.expire(KEY, KEPT_SECONDS)
            pipeline.execute()
    except RedisError as error:
        logger.debug("No worker is woken: %s", error)


def wait_for_wake(connection: Redis, stop: threading.Event, seconds: float) -> None:
    """Wait until a wake, until `stop` is set, or for so long; so long while Redis is unreachable.

    Args:
        seconds: rounded up to whole ones.
    """
    waited = 0.0
    while waited < seconds and not stop.is_set():
        try:
            if connection.blpop([KEY], timeout=SLICE_SECONDS) is not None:
                return
        except RedisError:
            stop.wait(SLICE_SECONDS)
        waited += SLICE_SECONDS


class Waker:
    """Wakes a worker from a thread of its own, so that no request waits for Redis.

    Args:
        connection: says where Redis is; the thread has connections of its own, as closing those of
            the requests would break into a wake.
    """

    def __init__(self, connection: Redis) -> None:
        self._connection = own_client(connection)
        self._wanted = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Have a worker woken soon; the thread begins with the first call, after any fork."""
        self._wanted.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="waking", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            wake(self._connection)
