"""Recurring tasks of a detection worker, in threads beside its jobs.

Each kind of task has its thread: a pull of a large project takes minutes, to measure its costs
seconds, a Label Studio that hangs holds up deliveries, and neither the queues nor the learning from
what was just submitted must wait for them. Events are also recorded while Redis is unreachable and
no worker can run. Any number of worker processes may run all of this at the same time.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError
from rq import Queue
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from backend.agreement.team_costs import TeamCosts
from backend.database.connection import Database
from backend.learning.queue import make_backlog_queue, make_learning_queue
from backend.queue.steady_worker import SteadyWorker, clean_up
from backend.queue.wake import wait_for_wake
from backend.settings import Settings
from backend.suggestions.ahead import NextTasks
from backend.suggestions.delivery_threads import DeliveryThreads
from backend.suggestions.interactive_queue import make_interactive_queue
from backend.suggestions.queue import make_opened_queue
from backend.training.queue import make_training_queue
from backend.verdicts.lesson_storage import LessonStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.sync import sync_due
from backend.workers.queue_filling import LOCK, QueueFilling
from backend.workers.waiting_work import WaitingWork

logger = logging.getLogger(__name__)

QUEUES_EVERY_SECONDS = 1.0
FILLS_EVERY_SECONDS = 0.25
# At latest; an event that Label Studio sends and an image that was learnt wake it at once.
VERDICTS_EVERY_SECONDS = 2.0
PULLS_EVERY_SECONDS = 5.0
COSTS_EVERY_SECONDS = 60.0
# One worker at a time sweeps the queues, at most this often.
SWEEP_SECONDS = 5
SWEEP_LOCK = "prelabelling:sweep"
STOPS_WITHIN_SECONDS = 3.0

# A task is given an event that is set when it should end soon.
Task = Callable[[threading.Event], None]


class Maintenance:
    """Recurring tasks: deliver predictions, sweep the queues, record events, pull annotations.

    Args:
        deliveries: deliver the predictions that are due.
        next_tasks: requests predictions after a project has learnt something.
        queue: the queue of predictions.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        deliveries: DeliveryThreads,
        next_tasks: NextTasks,
        queue: Queue,
    ) -> None:
        self._settings = settings
        self._database = database
        self._deliveries = deliveries
        self._next_tasks = next_tasks
        self._recorder = Recorder(settings, database)
        self._waiting_work = WaitingWork(settings, database)
        self._lessons = LessonStorage(database, limit=settings.learn_examples)
        self._costs = TeamCosts(settings, database)
        self._connection = queue.connection
        self._filling = QueueFilling(settings, database, queue.connection)
        retried = [make_learning_queue(queue.connection), queue]
        self._queues = [
            make_interactive_queue(queue.connection),
            make_opened_queue(queue.connection),
            make_backlog_queue(queue.connection),
            make_training_queue(queue.connection),
            *retried,
        ]
        self._scheduler = RQScheduler(
            retried, queue.connection, logging_level=logging.WARNING, serializer=JSONSerializer
        )
        self._scheduler.prepare_registries([each.name for each in retried])

    @contextmanager
    def maintain_queues(self, worker: SteadyWorker) -> Iterator[None]:
        """Fill and sweep the queues inside the block, while a worker lives."""

        def sweep(_: threading.Event) -> None:
            self.sweep(worker)

        with (
            repeated("queue maintenance", QUEUES_EVERY_SECONDS, sweep),
            repeated("filling of the queues", FILLS_EVERY_SECONDS, self.fill),
        ):
            yield

    @contextmanager
    def maintain_verdicts(self) -> Iterator[None]:
        """Deliver, record events, learn from them, measure costs, and pull inside the block."""
        learning = (self.record_events, self.learn, self.request_next_tasks)
        with (
            self._deliveries.running(),
            repeated("verdict maintenance", VERDICTS_EVERY_SECONDS, *learning, pause=self._pause),
            repeated("pulls of annotations", PULLS_EVERY_SECONDS, self.pull_due),
            repeated("costs of teams", COSTS_EVERY_SECONDS, self.measure_costs),
        ):
            yield

    def _pause(self, stop: threading.Event, seconds: float) -> None:
        wait_for_wake(self._connection, stop, seconds)

    def sweep(self, worker: SteadyWorker) -> None:
        """Release the jobs of dead workers, unless another one has just done so.

        Work that waits for a service goes on if that is back.
        """
        if self._waiting_work.tend():
            self._connection.delete(LOCK)
        if self._connection.set(SWEEP_LOCK, worker.name, nx=True, ex=SWEEP_SECONDS):
            for queue in self._queues:
                clean_up(queue, worker)
            self._scheduler.enqueue_scheduled_jobs()

    def fill(self, _: threading.Event) -> None:
        """Queue the rows that come next."""
        self._filling.fill()

    def record_events(self, _: threading.Event) -> None:
        """Record every event that Label Studio sent."""
        self._recorder.drain()

    def learn(self, _: threading.Event) -> None:
        """Pass on every annotation that changed, and have what is new learnt before anything."""
        if self._lessons.pass_on():
            self._connection.delete(LOCK)

    def request_next_tasks(self, _: threading.Event) -> None:
        """Request the suggestions of the next tasks of projects that have learnt something."""
        self._next_tasks.request()

    def measure_costs(self, stop: threading.Event) -> None:
        """Measure what actions cost in the projects whose log has grown."""
        self._costs.measure_due(stop.is_set)

    def pull_due(self, _: threading.Event) -> None:
        """Pull the annotations of projects that were not pulled lately; see SYNC_EVERY."""
        sync_due(self._settings, self._database)


@contextmanager
def repeated(
    name: str,
    every: float,
    *tasks: Task,
    pause: Callable[[threading.Event, float], object] = threading.Event.wait,
) -> Iterator[None]:
    """Run tasks again and again in a thread until the block ends; an error ends one round only.

    Args:
        name: name of the thread.
        every: pause between two rounds, s.
        tasks: run one after the other; each may be interrupted and run again.
        pause: waits for so many seconds, or until the event is set that ends everything.
    """
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            _run_once(name, tasks, stop)
            pause(stop, every)

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
