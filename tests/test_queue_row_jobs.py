"""The order of work: what somebody waits for comes first, and no project waits for another."""

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from learning_data import UID, lesson, teach
from prediction_rows import DETECTION, LONG_AGO, VERSION, wanted
from redis import Redis
from rq import Queue, Worker
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.worker_registration import register
from sqlalchemy import delete, event

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.learning.queries import NEWEST
from backend.learning.queue import enqueue_examples, make_backlog_queue, make_learning_queue
from backend.learning.storage import ExampleStorage
from backend.settings import Settings
from backend.suggestions import queue as prediction_queues
from backend.suggestions.queries import due_predictions
from backend.suggestions.queue import enqueue, enqueue_again, job_id
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.tables import predictions
from backend.workers.detection_worker import _queues

SETTINGS = Settings()
FILLING = threading.Lock()  # of workers, one at a time fills the queues
FEW = 6
AHEAD = prediction_queues._BATCH.ahead
AHEAD_OPENED = prediction_queues._OPENED.ahead


class Deployment:
    """Web processes and workers, which a test has act one after the other.

    Attributes:
        done: (project, task, whether it was opened) of what workers have made, in order.
    """

    def __init__(self, database: Database, queue: Queue) -> None:
        self.database, self.queue, self.redis = database, queue, queue.connection
        self.storage = PredictionStorage(database)
        self.done: list[tuple[str, int, bool]] = []
        self.tasks: Counter[str] = Counter()

    def request(self, project: str, tasks: Sequence[int], opened: bool = False) -> list[Prediction]:
        ProjectStorage(self.database).save_label_config(project, "<View/>")
        asked = [wanted(task) for task in tasks]
        more: dict[str, Any] = {"retry_failed_before": LONG_AGO, "opened": opened}
        rows = self.storage.request(project, VERSION, asked, **more)
        enqueue(self.queue, SETTINGS, rows)
        return rows

    def batch(self, project: str, count: int) -> list[Prediction]:
        """Request predictions for so many new tasks."""
        first = self.tasks[project] + 1
        self.tasks[project] += count
        return self.request(project, range(first, first + count))

    def open(self, project: str) -> Prediction:
        """Open a new task."""
        self.tasks[project] += 1
        return self.request(project, [self.tasks[project]], opened=True)[0]

    def fill(self) -> int:
        with FILLING:
            return enqueue_again(self.queue, SETTINGS, self.database)

    def work(self) -> bool:
        """Let a worker make the next prediction; return False if there is none."""
        while True:
            self.fill()
            found = Queue.dequeue_any(
                _queues(self.queue), None, self.redis, serializer=JSONSerializer
            )
            if found is None:
                if self.fill():
                    continue  # the list held jobs that were lost
                return False
            job, queue = found
            running, entry = queue.started_job_registry.key, f"{job.id}:execution"
            self.redis.zadd(running, {entry: 9e9})
            row = self.storage.prediction(job.args[0])
            assert row is not None
            if row.status == "queued":  # else a further job was faster
                self.storage.finish(row.id, DETECTION)
            job.set_status(JobStatus.FINISHED)
            self.redis.zrem(running, entry)
            if row.status == "queued":
                self.done.append((row.project_uid, row.task_id, row.opened_at is not None))
                return True

    def work_all(self) -> None:
        while self.work():
            pass

    def forget(self) -> None:
        self.redis.flushall()
        with self.database.writing() as connection:
            connection.execute(delete(predictions))
        self.done.clear()
        self.tasks.clear()


@pytest.fixture
def deployment(database: Database, queue: Queue) -> Deployment:
    return Deployment(database, queue)


@pytest.fixture
def few_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer jobs in the queues, so that a test needs fewer to see their order."""
    for name in ("_BATCH", "_OPENED"):
        jobs = getattr(prediction_queues, name)
        monkeypatch.setattr(prediction_queues, name, replace(jobs, ahead=FEW))


def projects_of(done: Sequence[tuple[str, int, bool]]) -> Counter[str]:
    return Counter(project for project, _, _ in done)


def test_an_opened_task_is_made_before_a_batch_of_any_size(deployment: Deployment) -> None:
    deployment.batch("1.1", 1000)
    deployment.work()
    deployment.open("1.1")
    deployment.open("2.1")
    deployment.work()
    deployment.work()
    assert [opened for _, _, opened in deployment.done] == [False, True, True]


def test_an_opened_task_whose_prediction_waits_in_a_batch_jumps_the_line(
    deployment: Deployment,
) -> None:
    rows = deployment.batch("1.1", 500)
    for row in (rows[0], rows[-1]):  # in the queue, and far behind it
        deployment.request("1.1", [row.task_id], opened=True)
    deployment.work()
    deployment.work()
    assert [task for _, task, _ in deployment.done] == [1, 500]
    deployment.work_all()
    assert len(deployment.done) == 500


def test_a_batch_waits_in_the_database_and_redis_holds_the_next_of_it(
    deployment: Deployment,
) -> None:
    deployment.batch("1.1", 300)
    assert deployment.queue.count == AHEAD
    deployment.work_all()
    assert [task for _, task, _ in deployment.done] == list(range(1, 301))


def test_more_workers_have_more_jobs_ahead(deployment: Deployment) -> None:
    for _ in range(3):
        register(Worker([deployment.queue], connection=deployment.redis))
    deployment.batch("1.1", 1000)
    assert deployment.queue.count == 3 * AHEAD


def test_a_small_project_does_not_wait_for_a_large_one(deployment: Deployment) -> None:
    deployment.batch("1.1", 500)
    deployment.work()
    deployment.batch("2.1", 5)
    while projects_of(deployment.done)["2.1"] < 5:
        assert deployment.work()
    assert projects_of(deployment.done)["1.1"] <= 2 * AHEAD


def test_of_more_projects_than_fit_into_the_queue_each_gets_its_turn(
    deployment: Deployment,
) -> None:
    names = [f"{number}.1" for number in range(1, 2 * AHEAD)]
    for name in names:
        deployment.batch(name, 4)
    for _ in range(3 * len(names)):
        assert deployment.work()
    counts = projects_of(deployment.done)
    assert set(counts) == set(names)
    assert min(counts.values()) >= 2


def test_a_project_that_opens_thousands_of_tasks_delays_no_annotator_of_another(
    deployment: Deployment,
) -> None:
    for _ in range(100):
        deployment.open("1.1")
    deployment.open("2.1")
    while not projects_of(deployment.done)["2.1"]:
        assert deployment.work()
    assert len(deployment.done) <= AHEAD_OPENED + 2


def test_what_waits_for_a_pause_does_not_stand_in_the_way(deployment: Deployment) -> None:
    rows = deployment.batch("1.1", 2 * AHEAD)
    deployment.redis.flushall()
    for row in rows[:AHEAD]:
        deployment.storage.record_failure(row.id, "no reason is known", limit=9)
    assert deployment.fill() == AHEAD
    first = [job_id(row.id, 1) for row in rows[AHEAD:]]
    assert deployment.queue.get_job_ids() == first


def test_what_somebody_waited_for_is_part_of_a_batch_once_it_failed_and_a_batch_asks_again(
    deployment: Deployment,
) -> None:
    row = deployment.open("1.1")
    deployment.storage.fail(row.id, "not an image")
    [row] = deployment.storage.request(
        "1.1", VERSION, [wanted(row.task_id)], retry_failed_before=row.created_at.replace(year=9999)
    )
    assert (row.status, row.opened_at) == ("queued", None)


def lose_lists(redis: Redis) -> None:
    redis.delete("rq:queue:predictions", "rq:queue:opened")


def lose_jobs(redis: Redis) -> None:
    for key in redis.keys(f"{Job.redis_job_namespace_prefix}*"):
        redis.delete(key)


def lose_all(redis: Redis) -> None:
    redis.flushall()


def lose_nothing(redis: Redis) -> None:
    pass


SLOW = hypothesis_settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink an example takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PROJECTS = ("1.1", "2.1", "3.1", "4.1")
STEPS = st.one_of(
    st.tuples(st.just("batch"), st.sampled_from(PROJECTS), st.integers(1, 60)),
    st.tuples(st.just("open"), st.sampled_from(PROJECTS), st.integers(1, 12)),
    st.tuples(st.just("reopen"), st.sampled_from(PROJECTS), st.integers(1, 3)),
    st.tuples(st.just("work"), st.just(""), st.integers(1, 40)),
    st.tuples(st.just("lose"), st.sampled_from(["lists", "jobs", "all"]), st.just(1)),
)
LOSSES = {"lists": lose_lists, "jobs": lose_jobs, "all": lose_all}


@SLOW
@given(st.lists(STEPS, max_size=12))
def test_whatever_comes_each_is_made_once_in_the_right_order(
    deployment: Deployment, steps: list[tuple[str, str, int]]
) -> None:
    """And what somebody waits for before all others, unless Redis has just lost it."""
    deployment.forget()
    has_lost = False
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr("backend.queue.live_jobs.SETTLES_SECONDS", 0.0)
        for kind, name, count in steps:
            if kind == "batch":
                deployment.batch(name, count)
            elif kind == "open":
                for _ in range(count):
                    deployment.open(name)
            elif kind == "reopen":
                deployment.request(name, range(1, min(count, deployment.tasks[name]) + 1), True)
            elif kind == "work":
                for _ in range(count):
                    expect_right_turn(deployment, has_lost=has_lost)
            else:
                LOSSES[name](deployment.redis)
                has_lost = True
        deployment.work_all()
    made = [(project, task) for project, task, _ in deployment.done]
    wanted_ = {(name, task) for name in PROJECTS for task in range(1, deployment.tasks[name] + 1)}
    assert len(made) == len(set(made))
    assert set(made) == wanted_


def expect_right_turn(deployment: Deployment, *, has_lost: bool) -> None:
    """Work once, and check that what was made is what somebody waits for, if there is anything."""
    has_opened = bool(due_predictions(deployment.database, opened=True).projects())
    if deployment.work() and not has_lost:
        assert deployment.done[-1][2] == has_opened


@SLOW
@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    opened=st.booleans(),
    losses=st.dictionaries(st.integers(0, 60), st.sampled_from([lose_jobs, lose_all]), max_size=1),
)
def test_no_project_starves_another(
    deployment: Deployment,
    few_ahead: None,
    sizes: list[int],
    opened: bool,
    losses: dict[int, Any],
) -> None:
    deployment.forget()
    names = [f"{number}.1" for number in range(1, len(sizes) + 1)]
    for name, size in zip(names, sizes, strict=True):
        if opened:
            for _ in range(size):
                deployment.open(name)
        else:
            deployment.batch(name, size)
    step, limit = 0, FEW
    while deployment.work():
        losses.get(step, lose_nothing)(deployment.redis)
        step += 1
        counts = projects_of(deployment.done)
        unfinished = [n for n, size in zip(names, sizes, strict=True) if counts[n] < size]
        if unfinished:
            # What the first request filled the queue with, once more after a loss, and one turn.
            least = min(counts[name] for name in unfinished)
            assert max(counts[name] for name in unfinished) <= least + 3 * limit
    assert projects_of(deployment.done) == dict(zip(names, sizes, strict=True))


def test_two_workers_that_fill_and_work_at_once_make_each_prediction_once(
    deployment: Deployment,
) -> None:
    for name in ("1.1", "2.1"):
        deployment.batch(name, 60)
    workers = [Deployment(deployment.database, deployment.queue) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Deployment.work_all, workers))
    made = [each for worker in workers for each in worker.done]
    assert Counter((project, task) for project, task, _ in made) == {
        (name, task): 1 for name in ("1.1", "2.1") for task in range(1, 61)
    }


# What corrections teach


def learning_queues(queue: Queue) -> tuple[int, int]:
    """Return how many examples wait before predictions, and how many behind them."""
    newest, backlog = make_learning_queue(queue.connection), make_backlog_queue(queue.connection)
    return newest.count, backlog.count


def test_what_was_just_submitted_is_learnt_before_predictions_are_made(
    database: Database, queue: Queue
) -> None:
    for number in range(1, 4):
        teach(database, number, lesson(number))
    enqueue_examples(make_learning_queue(queue.connection), SETTINGS, database)
    assert learning_queues(queue) == (3, 0)


def test_a_project_that_is_learnt_anew_comes_after_predictions(
    database: Database, queue: Queue
) -> None:
    for number in range(1, NEWEST + 6):
        teach(database, number, lesson(number))
    storage = ExampleStorage(database, limit=SETTINGS.learn_examples)
    storage.extract_again(UID)
    learning = make_learning_queue(queue.connection)
    enqueue_examples(learning, SETTINGS, database)
    waiting, backlog = learning_queues(queue)
    assert waiting == 0
    assert backlog > 0
    teach(database, 1000, lesson(1000))
    enqueue_examples(learning, SETTINGS, database)
    assert learning_queues(queue) == (1, backlog)


def test_of_a_bulk_import_only_the_newest_go_before_predictions(
    database: Database, queue: Queue
) -> None:
    for number in range(1, 51):
        teach(database, number, lesson(number))
    learning, storage = make_learning_queue(queue.connection), ExampleStorage(database, limit=200)
    learnt = 0
    while enqueue_examples(learning, SETTINGS, database) and learning.count:
        for name in learning.get_job_ids():
            storage.fail(int(name.split("-")[1]), "not an image")
            learnt += 1
        learning.empty()
    assert learnt == NEWEST


def test_postgresql_gives_the_same_order(any_database: Database, queue: Queue) -> None:
    deployment = Deployment(any_database, queue)
    deployment.batch("1.1", 2 * AHEAD)
    rows = deployment.batch("2.1", 3)
    deployment.request("2.1", [rows[2].task_id], opened=True)
    while projects_of(deployment.done)["2.1"] < 3:
        assert deployment.work()
    assert deployment.done[0] == ("2.1", 3, True)
    assert projects_of(deployment.done)["1.1"] <= AHEAD + 3
    for number in range(1, NEWEST + 3):
        teach(any_database, number, lesson(number))
    enqueue_examples(make_learning_queue(queue.connection), SETTINGS, any_database)
    assert learning_queues(queue) == (8, 2)


@pytest.mark.parametrize("opened", [True, False])
def test_what_comes_next_is_found_by_an_index_however_much_waits(
    deployment: Deployment, opened: bool
) -> None:
    """SQLite chooses by the words of the condition: others make it read all that waits."""
    deployment.batch("1.1", 3)
    statements: list[tuple[str, Any]] = []

    def note(_: object, cursor: object, statement: str, parameters: Any, *more: object) -> None:
        statements.append((statement, parameters))

    engine = deployment.database.engine
    event.listen(engine, "before_cursor_execute", note)
    due = due_predictions(deployment.database, opened=opened)
    due.projects()
    due.first("1.1", 10)
    event.remove(engine, "before_cursor_execute", note)
    queries = [each for each in statements if each[0].startswith("SELECT")]
    assert len(queries) >= 2
    name = "ix_predictions_waits_opened" if opened else "ix_predictions_waits_in_batch"
    with deployment.database.reading() as connection:
        for statement, parameters in queries:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row.detail for row in plan]
            assert len(steps) == 1, steps
            assert f"INDEX {name}" in steps[0]
