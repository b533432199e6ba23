"""Keep the queues filled with the rows that come next; any number of workers may do so."""

import time

from redis import Redis

from backend.database.connection import Database
from backend.learning.queue import enqueue_examples, make_learning_queue
from backend.settings import Settings
from backend.suggestions.queue import enqueue_again, make_queue
from backend.training.queue import enqueue_trainings_again, make_training_queue

# Holds the number of jobs that waited after the latest filling.
LOCK = "prelabelling:fill"
# One worker at a time fills the queues, for this share of its time; for more of it if it takes so
# long that workers might run out of jobs meanwhile, but never for more than the second one.
SHARE, LARGEST_SHARE = 0.02, 0.05
SURE_TO_LAST_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0
# While there is nothing to be done, web processes queue what is requested.
IDLE_PAUSE_SECONDS = 1.0
# Should the worker that fills them die, another one goes on after so long.
LOCK_SECONDS = 30
# Of the jobs that waited after the latest filling: when fewer are left, the next one is due.
LOW = 0.25
LOW_LOCK, LOW_LOCK_SECONDS = "prelabelling:fill-low", 0.25


class QueueFilling:
    """Queues the rows that come next of each kind of work."""

    def __init__(self, settings: Settings, database: Database, connection: Redis) -> None:
        self._settings = settings
        self._database = database
        self._connection = connection
        self._predictions = make_queue(connection)
        self._examples = make_learning_queue(connection)
        self._trainings = make_training_queue(connection)

    def fill(self) -> int:
        """Queue what comes next, unless another worker has just done so; count the jobs.

        Raises:
            RedisError: Redis cannot be reached.
        """
        if not self._connection.set(LOCK, 0, nx=True, ex=LOCK_SECONDS) and not self._runs_low():
            return 0
        began = time.monotonic()
        count = self._fill()
        waiting = self._predictions.count
        is_idle = count == 0 and waiting == 0
        pause = IDLE_PAUSE_SECONDS if is_idle else pause_after(time.monotonic() - began)
        self._connection.set(LOCK, waiting, px=max(1, round(1000 * pause)))
        return count

    def _runs_low(self) -> bool:
        """Return whether workers have taken most jobs since the latest filling; then lock the next.

        True for one worker at a time.
        """
        with self._connection.pipeline(transaction=False) as pipeline:
            pipeline.get(LOCK)
            pipeline.llen(self._predictions.key)
            before, left = pipeline.execute()
        if left >= LOW * int(before or 0):
            return False
        if not self._connection.set(LOW_LOCK, 1, nx=True, px=round(1000 * LOW_LOCK_SECONDS)):
            return False
        self._connection.set(LOCK, 0, ex=LOCK_SECONDS)
        return True

    def _fill(self) -> int:
        arguments = (self._settings, self._database)
        return (
            enqueue_again(self._predictions, *arguments)
            + enqueue_examples(self._examples, *arguments)
            + enqueue_trainings_again(self._trainings, *arguments)
        )


def pause_after(seconds: float) -> float:
    """Return how long to wait after the queues were filled in so many seconds."""
    pause = max(seconds / LARGEST_SHARE, min(seconds / SHARE, SURE_TO_LAST_SECONDS))
    return min(pause, LONGEST_PAUSE_SECONDS)
