"""Recurring tasks of a detection worker, in threads beside its jobs.

There are three threads: a pull of a large project takes minutes, and neither deliveries nor the
learning from what was just submitted must wait for it. Events are also recorded while Redis is
unreachable and no worker can run. Any number of worker processes may run all of this at the same
time.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from redis.exceptions import RedisError
from rq import Queue
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database
from backend.learning.queue import enqueue_examples, make_learning_queue
from backend.queue.steady_worker import SteadyWorker, clean_up
from backend.settings import Settings
from backend.suggestions.ahead import NextTasks
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.interactive_queue import make_interactive_queue
from backend.suggestions.queue import enqueue_again
from backend.training.queue import enqueue_trainings_again, make_training_queue
from backend.verdicts.lesson_storage import LessonStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.sync import sync_due

logger = logging.getLogger(__name__)

QUEUES_EVERY_SECONDS = 1.0
# What was submitted is learnt within 5 s.
VERDICTS_EVERY_SECONDS = 2.0
PULLS_EVERY_SECONDS = 5.0
# One worker at a time sweeps the queues, at most this often and for at most this share of its time.
SWEEP_SECONDS = 5
SWEEP_SHARE = 0.05
SWEEP_LOCK = "prelabelling:sweep"
DELIVERIES_A_ROUND = 20
STOPS_WITHIN_SECONDS = 3.0

# A task is given an event that is set when it should end soon.
Task = Callable[[threading.Event], None]


class Maintenance:
    """Recurring tasks: deliver predictions, sweep the queues, record events, pull annotations.

    Args:
        deliveries: delivers the predictions that are due.
        next_tasks: requests predictions after a project has learnt something.
        queue: the queue of predictions.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        deliveries: DeliveryService,
        next_tasks: NextTasks,
        queue: Queue,
    ) -> None:
        self._settings = settings
        self._database = database
        self._deliveries = deliveries
        self._next_tasks = next_tasks
        self._recorder = Recorder(settings, database)
        self._lessons = LessonStorage(database, limit=settings.learn_examples)
        self._queue = queue
        self._interactive = make_interactive_queue(queue.connection)
        self._learning = make_learning_queue(queue.connection)
        self._trainings = make_training_queue(queue.connection)
        retried = [self._learning, queue]
        self._scheduler = RQScheduler(
            retried, queue.connection, logging_level=logging.WARNING, serializer=JSONSerializer
        )
        self._scheduler.prepare_registries([each.name for each in retried])

    def maintain_queues(self, worker: SteadyWorker) -> AbstractContextManager[None]:
        """Deliver predictions and sweep the queues inside the block, while a worker lives."""

        def sweep(_: threading.Event) -> None:
            self.sweep(worker)

        return repeated("queue maintenance", QUEUES_EVERY_SECONDS, self.deliver_due, sweep)

    @contextmanager
    def maintain_verdicts(self) -> Iterator[None]:
        """Record events, have what they teach learnt, and pull annotations inside the block."""
        learning = (self.record_events, self.learn, self.request_next_tasks)
        with (
            repeated("verdict maintenance", VERDICTS_EVERY_SECONDS, *learning),
            repeated("pulls of annotations", PULLS_EVERY_SECONDS, self.pull_due),
        ):
            yield

    def deliver_due(self, stop: threading.Event) -> None:
        """Deliver every prediction that is due."""
        while self._deliveries.deliver_due(DELIVERIES_A_ROUND) and not stop.is_set():
            pass

    def sweep(self, worker: SteadyWorker) -> None:
        """Queue lost jobs again, unless another worker has just done so."""
        connection = self._queue.connection
        if connection.set(SWEEP_LOCK, worker.name, nx=True, ex=SWEEP_SECONDS):
            began = time.monotonic()
            self._sweep(worker)
            # A sweep takes long if many predictions wait, and detection needs most of the time.
            pause = (time.monotonic() - began) / SWEEP_SHARE
            connection.expire(SWEEP_LOCK, math.ceil(max(SWEEP_SECONDS, pause)))

    def _sweep(self, worker: SteadyWorker) -> None:
        for queue in (self._interactive, self._learning, self._queue, self._trainings):
            clean_up(queue, worker)
        self._scheduler.enqueue_scheduled_jobs()
        missing = enqueue_examples(self._learning, self._settings, self._database)
        if missing:
            logger.info("Queued %d corrected images whose jobs were lost", missing)
        missing = enqueue_again(self._queue, self._settings, self._database)
        if missing:
            logger.info("Queued %d predictions again whose jobs were lost", missing)
        missing = enqueue_trainings_again(self._trainings, self._settings, self._database)
        if missing:
            logger.info("Queued %d trainings again whose jobs were lost", missing)

    def record_events(self, _: threading.Event) -> None:
        """Record every event that Label Studio sent."""
        self._recorder.drain()

    def learn(self, _: threading.Event) -> None:
        """Pass on every annotation that changed, and have what is new learnt before anything."""
        if self._lessons.pass_on():
            enqueue_examples(self._learning, self._settings, self._database)

    def request_next_tasks(self, _: threading.Event) -> None:
        """Request the suggestions of the next tasks of projects that have learnt something."""
        self._next_tasks.request()

    def pull_due(self, _: threading.Event) -> None:
        """Pull the annotations of projects that were not pulled lately; see SYNC_EVERY."""
        sync_due(self._settings, self._database)


@contextmanager
def repeated(name: str, every: float, *tasks: Task) -> Iterator[None]:
    """Run tasks again and again in a thread until the block ends; an error ends one round only.

    Args:
        name: name of the thread.
        every: pause between two rounds, s.
        tasks: run one after the other; each may be interrupted and run again.
    """
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            _run_once(name, tasks, stop)
            stop.wait(every)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        # It may be talking to Label Studio; the next worker repeats whatever is interrupted.
        thread.join(timeout=STOPS_WITHIN_SECONDS)


def _run_once(name: str, tasks: tuple[Task, ...], stop: threading.Event) -> None:
    try:
        for task in tasks:
            task(stop)
    except (RedisError, SQLAlchemyError) as error:
        logger.warning("%s will be tried again soon: %s", name, str(error).partition("\n")[0])
    except Exception:
        logger.exception("%s will be tried again soon", name)
