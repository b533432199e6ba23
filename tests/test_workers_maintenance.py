"""The recurring tasks, one by one; tests of the worker show them all together."""

import logging
import threading
import time

import pytest
from conftest import wait_until
from label_studio_fake import CONFIG, TOKEN, UID, LabelStudioFake, label_studio_fake
from learning_data import lesson, teach
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from test_suggestions_queue import ask
from verdict_data import annotation, detection, event, moved, predict, relabelled

from backend.database.connection import Database
from backend.labelstudio.projects import LabelStudios, ProjectStorage
from backend.learning.queue import make_learning_queue
from backend.queue.steady_worker import SteadyWorker
from backend.settings import Settings
from backend.suggestions.ahead import NextTasks
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.delivery_threads import DeliveryThreads
from backend.suggestions.queue import job_id
from backend.training.queue import make_training_queue, training_job_id
from backend.training.records import TrainingOptions
from backend.training.storage import TrainingStorage
from backend.verdicts.storage import EventStorage
from backend.workers import maintenance, queue_filling
from backend.workers.maintenance import SWEEP_LOCK, Maintenance, repeated
from backend.workers.queue_filling import LARGEST_SHARE, LOCK, LOW_LOCK, pause_after


def maintenance_of(database: Database, queue: Queue, fake: LabelStudioFake | None = None):
    settings = Settings(
        label_studio_url=fake.url if fake else None,
        label_studio_api_key=TOKEN if fake else None,
        sync_every=0,
    )
    studios = LabelStudios(settings)
    deliveries = DeliveryThreads(DeliveryService(settings, database, studios))
    next_tasks = NextTasks(settings, database, studios, queue, lambda _: "small-0")
    return Maintenance(settings, database, deliveries, next_tasks, queue)


def fill(database: Database, queue: Queue) -> None:
    """Have the queues filled now."""
    queue.connection.delete(LOCK)
    maintenance_of(database, queue).fill(threading.Event())


def test_what_has_no_job_is_queued_unless_another_worker_has_just_looked(
    database: Database, queue: Queue
) -> None:
    first, second = ask(database, 1, 2)
    upkeep, stop = maintenance_of(database, queue), threading.Event()
    upkeep.fill(stop)
    assert queue.get_job_ids() == [job_id(first.id, 1), job_id(second.id, 1)]
    queue.connection.set(LOCK, 0)  # another worker is about to
    queue.empty()
    upkeep.fill(stop)
    assert queue.count == 0
    fill(database, queue)
    assert queue.count == 2


def test_while_nothing_waits_the_database_is_asked_once_a_second(
    database: Database, queue: Queue
) -> None:
    fill(database, queue)
    assert 900 < queue.connection.pttl(LOCK) <= 1000


def test_a_long_look_is_followed_by_a_long_pause(
    database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object) -> int:
        time.sleep(0.2)
        return 1

    monkeypatch.setattr("backend.workers.queue_filling.enqueue_again", slow)
    fill(database, queue)
    assert queue.connection.pttl(LOCK) >= 1000 * (0.2 / LARGEST_SHARE - 1)


def test_a_queue_that_runs_low_is_filled_before_the_pause_is_over(
    database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_filling, "pause_after", lambda _: 10.0)
    ask(database, *range(1, 101))
    upkeep, stop = maintenance_of(database, queue), threading.Event()
    upkeep.fill(stop)
    filled = queue.count
    assert 8 < filled < 100
    taken = [queue.pop_job_id() for _ in range(filled // 2)]
    upkeep.fill(stop)
    assert queue.count == filled - len(taken), "enough wait"
    while queue.count > filled // 8:
        queue.pop_job_id()
    left = queue.count
    upkeep.fill(stop)
    assert queue.count > left
    queue.empty()
    queue.connection.set(LOW_LOCK, 1)
    upkeep.fill(stop)
    assert queue.count == 0, "another worker is doing so"


@pytest.mark.parametrize(
    ("took", "pause"), [(0.01, 0.5), (0.02, 1.0), (0.04, 1.0), (0.05, 1.0), (0.1, 2.0), (9.0, 10.0)]
)
def test_filling_takes_little_time_but_no_worker_runs_out_of_jobs(
    took: float, pause: float
) -> None:
    assert pause_after(took) == pytest.approx(pause)


def test_a_training_that_lost_its_job_is_queued(database: Database, queue: Queue) -> None:
    ProjectStorage(database).save_label_config(UID, CONFIG)
    training, _ = TrainingStorage(database).request(UID, TrainingOptions())
    fill(database, queue)
    trainings = make_training_queue(queue.connection)
    assert trainings.get_job_ids() == [training_job_id(training)]


def test_a_sweep_releases_the_jobs_of_dead_workers_once_in_a_while(
    database: Database, queue: Queue
) -> None:
    registry = queue.started_job_registry
    upkeep, worker = maintenance_of(database, queue), SteadyWorker(queue)
    for left in (0, 1):
        queue.connection.zadd(registry.key, {"predict-1-1:abc": 1})
        upkeep.sweep(worker)
        assert queue.connection.zcard(registry.key) == left
    assert 0 < queue.connection.ttl(SWEEP_LOCK) <= maintenance.SWEEP_SECONDS


def test_events_are_recorded_while_redis_is_unreachable(database: Database) -> None:
    nowhere = Queue("predictions", connection=Redis.from_url("redis://127.0.0.1:1/0"))
    regions = predict(database, 1, detection((10, 10)))
    event(database, annotation(1, [moved(regions[0], 20)]))
    with label_studio_fake() as fake, maintenance_of(database, nowhere, fake).maintain_verdicts():
        wait_until(lambda: not EventStorage(database).unhandled())


def test_an_error_ends_one_round_only(caplog: pytest.LogCaptureFixture) -> None:
    rounds, after = [], []

    def task(_: threading.Event) -> None:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise RedisError("connection lost\nwith details")
        if len(rounds) == 2:
            raise ZeroDivisionError

    with repeated("upkeep", 0.01, task, lambda _: after.append(len(rounds))):
        wait_until(lambda: len(after) >= 2)
    assert after[0] == 3
    first, second = [r for r in caplog.records if r.name == "backend.workers.maintenance"][:2]
    assert first.getMessage() == "upkeep will be tried again soon: connection lost"
    assert (first.levelno, first.exc_info) == (logging.WARNING, None)
    assert (second.levelno, second.exc_info is not None) == (logging.ERROR, True)


def test_tasks_end_with_the_block() -> None:
    runs = []
    with repeated("upkeep", 0.01, lambda stop: runs.append(stop.is_set())):
        wait_until(lambda: runs)
    assert "upkeep" not in [thread.name for thread in threading.enumerate()]
    assert runs[0] is False


def test_what_was_submitted_is_queued_to_be_learnt_as_soon_as_it_is_recorded(
    database: Database, queue: Queue
) -> None:
    regions = predict(database, 1, detection((10, 10)))
    event(database, annotation(1, [relabelled(regions[0], "nose")]))
    upkeep, stop = maintenance_of(database, queue), threading.Event()
    upkeep.fill(stop)
    upkeep.record_events(stop)
    upkeep.learn(stop)
    upkeep.fill(stop)
    assert make_learning_queue(queue.connection).get_job_ids() == ["learn-1-1"]


def test_corrected_images_that_lost_their_job_are_queued(database: Database, queue: Queue) -> None:
    teach(database, 1, lesson(1))
    fill(database, queue)
    assert make_learning_queue(queue.connection).count == 1
