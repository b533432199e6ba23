"""Real worker processes, with shorter intervals than in production."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import free_port, redis_executable, wait_until
from label_studio_fake import CONFIG, TOKEN, UID, LabelStudioFake, label_studio_fake
from redis import Redis
from rq import Queue, Retry
from serving import PLAIN_ENVIRONMENT, ROOT
from small_weights import save_small_network
from test_suggestions_detection_job import PNG, encoded
from verdict_data import added, annotation

from backend.database.connection import Database
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import ProjectStorage
from backend.learning.storage import ExampleStorage
from backend.queue.steady_worker import WorkerRefused
from backend.settings import Settings
from backend.suggestions import delivery
from backend.suggestions.answers import PredictService
from backend.suggestions.queue import job_id, make_opened_queue, make_queue
from backend.suggestions.storage import PredictionStorage
from backend.verdicts.storage import EventStorage
from backend.workers.detection_worker import run_worker, set_up_threads
from model.networks import SMALL

CONTROL = keypoint_control(CONFIG)
SILENCE = 2
# (module, name, value): outside of tests it is a matter of minutes.
FASTER = [
    ("queue.steady_worker", "SILENCE_SECONDS", SILENCE),
    ("queue.steady_worker", "HEARTBEAT_SECONDS", 0.5),
    ("workers.maintenance", "SWEEP_SECONDS", 1),
    ("workers.maintenance", "QUEUES_EVERY_SECONDS", 0.2),
    ("suggestions.delivery", "LEASE_SECONDS", 3.0),
    ("suggestions.delivery", "SHORT_LEASE_SECONDS", 3.0),
    ("suggestions.leases", "SHORT_LEASE_SECONDS", 3.0),
    ("suggestions.leases", "RENEWED_EVERY_SECONDS", 1.0),
    ("retries", "DELIVERY", "backend.retries.Backoff(1.0, 2.0, 600.0)"),
    ("suggestions.delivery", "REPLY_CHECKED_AFTER_SECONDS", 5.0),
]
START = (
    "import backend.workers.detection_worker; "
    + "".join(
        f"import backend.{module}; backend.{module}.{name} = {value}; "
        for module, name, value in FASTER
    )
    + "backend.workers.detection_worker.run_worker(__import__('backend.settings')"
    + ".settings.load_settings())"
)
ENDS_WITHIN = 20.0


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights."""
    return save_small_network(tmp_path_factory.mktemp("weights") / "small.safetensors")


class Scene:
    """A deployment whose worker processes a test starts, stops and kills."""

    def __init__(self, folder: Path, fake: LabelStudioFake, redis_url: str, weights: Path) -> None:
        self.folder, self.fake = folder, fake
        self.variables = {
            "REDIS_URL": redis_url,
            "DATA_DIR": str(folder),
            "LABEL_STUDIO_URL": fake.url,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "MODEL_WEIGHTS": str(weights),
            "DETECTOR_INPUT_SIZE": "32",
            "DETECTOR_STRIDE": "16",
            "DETECTION_WORKERS": "2",
        }
        self.settings = Settings(
            redis_url=redis_url,
            data_dir=folder,
            label_studio_url=fake.url,
            label_studio_api_key=TOKEN,
            model_weights=str(weights),
            detector_input_size=32,
            detector_stride=16,
            predict_wait_one=0,
            predict_wait_batch=0.5,
        )
        self.database = Database(self.settings.database)
        self.database.migrate()
        ProjectStorage(self.database).save_label_config(UID, CONFIG)
        self.redis = Redis.from_url(redis_url)
        self.queue: Queue = make_queue(self.redis)
        version = self.settings.model_version()
        self.web = PredictService(self.settings, self.database, self.queue, lambda uid: version)
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        log = (self.folder / f"worker-{len(self.workers)}.log").open("wb")
        with log:
            worker = subprocess.Popen(
                [sys.executable, "-c", START],
                env=PLAIN_ENVIRONMENT | self.variables,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self.workers.append(worker)
        return worker

    def ask(self, *tasks: dict[str, Any]) -> list[Any]:
        project = ProjectStorage(self.database).project(UID)
        assert project is not None
        return self.web.answer(project, CONTROL, tasks)

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.database.close()
        self.redis.close()


@contextmanager
def deployment(folder: Path, redis_url: str, weights: Path) -> Iterator[Scene]:
    with label_studio_fake() as fake:
        scene = Scene(folder, fake, redis_url, weights)
        try:
            yield scene
        finally:
            fake.hands_out.set()
            scene.close()


def test_a_job_outlives_the_workers_that_have_it(
    redis_connection: Redis, redis_url: str, tmp_path: Path, weights: Path
) -> None:
    """A long silence of the network, SIGTERM, SIGKILL: in the end it is there, once."""
    path = "/data/upload/3/image-1.png"
    with deployment(tmp_path, redis_url, weights) as scene:
        scene.fake.hands_out.clear()
        assert scene.ask(scene.fake.add_task(1, PNG)) == [[]]
        [row] = PredictionStorage(scene.database).of_task(1)

        first = scene.start()
        wait_until(lambda: len(scene.fake.asked("GET", path)) == 1)
        # The worker says that it lives: nobody takes its job, although it takes so long.
        time.sleep(SILENCE + 2)
        assert len(scene.fake.asked("GET", path)) == 1
        opened, name = make_opened_queue(scene.redis), job_id(row.id, 1, opened=True)
        assert opened.started_job_registry.get_job_ids(cleanup=False) == [name]

        first.terminate()
        assert first.wait(ENDS_WITHIN) == 0
        assert opened.get_job_ids() == [name]
        assert PredictionStorage(scene.database).of_task(1)[0].attempts == 0

        second = scene.start()
        wait_until(lambda: len(scene.fake.asked("GET", path)) == 2)
        second.kill()
        second.wait()

        scene.fake.hands_out.set()
        third = scene.start()
        wait_until(lambda: scene.fake.of_task(1), seconds=60)
        third.terminate()
        assert third.wait(ENDS_WITHIN) == 0
        assert len(scene.fake.of_task(1)) == 1
        [row] = PredictionStorage(scene.database).of_task(1)
        assert (row.status, row.attempts) == ("ready", 2)
        assert row.delivery is not None
        assert row.delivery.confirmed_at is not None


@contextmanager
def own_redis(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis that stores nothing on disk."""
    options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(
        [redis_executable(), "--port", str(port), *options], stdout=subprocess.DEVNULL
    )
    try:
        yield server
    finally:
        server.kill()
        server.wait()


@contextmanager
def ending(stop: threading.Event) -> Iterator[None]:
    """Tell others to stop when the block ends, also when it fails."""
    try:
        yield
    finally:
        stop.set()


def test_whatever_is_stopped_and_started_each_task_gets_one_prediction(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers, of which one is killed, a Redis that forgets, and a Label Studio that fails."""
    for module, name, value in FASTER:
        if module == "suggestions.delivery":
            monkeypatch.setattr(delivery, name, value)
    monkeypatch.setattr("backend.suggestions.reply.LEASE_SECONDS", 3.0)
    monkeypatch.setattr("backend.suggestions.reply.REPLY_SETTLES_SECONDS", 2.0)
    monkeypatch.setattr("backend.suggestions.reply.REPLY_CHECKED_AFTER_SECONDS", 5.0)
    port = free_port()
    with ExitStack() as stack:
        redis = stack.enter_context(own_redis(port))
        scene = stack.enter_context(deployment(tmp_path, f"redis://127.0.0.1:{port}/0", weights))
        pictures = np.random.default_rng(1).integers(0, 256, (24, 40, 40, 3), dtype=np.uint8)
        tasks = [scene.fake.add_task(n, encoded(picture)) for n, picture in enumerate(pictures, 1)]
        workers = [scene.start(), scene.start()]
        stop = threading.Event()

        def retrieve_again_and_again() -> None:
            while not stop.is_set():
                missing = [task for task in tasks if not scene.fake.of_task(task["id"])]
                scene.fake.store_answers(missing, scene.ask(*missing))
                stop.wait(0.5)

        def delivered() -> int:
            return sum(bool(scene.fake.of_task(task["id"])) for task in tasks)

        with ThreadPoolExecutor(1) as pool, ending(stop):
            annotator = pool.submit(retrieve_again_and_again)
            wait_until(lambda: delivered() >= 4, seconds=60)
            workers[0].kill()
            redis.kill()
            redis.wait()
            scene.fake.fails_after_storing = 2
            stack.enter_context(own_redis(port))
            wait_until(lambda: delivered() >= 10, seconds=60)
            scene.start()
            wait_until(lambda: delivered() == len(tasks), seconds=90)
            time.sleep(1)
            stop.set()
            annotator.result(30)
        assert [len(scene.fake.of_task(task["id"])) for task in tasks] == [1] * len(tasks)
        assert workers[1].poll() is None, "it outlives its Redis"


def test_predictions_that_an_older_version_queued_arrive_once(
    redis_connection: Redis, redis_url: str, tmp_path: Path, weights: Path
) -> None:
    """Its jobs call a function by a path that this version does not have."""
    with deployment(tmp_path, redis_url, weights) as scene:
        numbers = range(1, 7)
        scene.ask(*[scene.fake.add_task(number, PNG) for number in numbers])
        rows = [PredictionStorage(scene.database).of_task(number)[0] for number in numbers]
        redis_connection.flushall()
        for row in rows:
            scene.queue.enqueue(
                "backend.jobs.predict",
                row.id,
                job_id=job_id(row.id, row.round),
                unique=True,
                retry=Retry(max=2, interval=[600, 600]),  # longer than the test waits
            )
        scene.start()
        wait_until(lambda: all(scene.fake.of_task(number) for number in numbers), seconds=60)
        wait_until(lambda: len(scene.queue) == 0)
        assert [len(scene.fake.of_task(number)) for number in numbers] == [1] * len(numbers)


def test_what_is_submitted_is_learnt_before_the_predictions_that_are_queued(
    redis_connection: Redis, redis_url: str, tmp_path: Path, weights: Path
) -> None:
    """One worker, and a batch that takes it minutes: what people do now comes first."""
    with deployment(tmp_path, redis_url, weights) as scene:
        batch = [scene.fake.add_task(number, PNG) for number in range(1, 1501)]
        scene.ask(*batch)
        scene.start()
        wait_until(lambda: scene.fake.of_task(1), seconds=60)
        submitted = scene.fake.add_task(2000, PNG)
        made = datetime.fromtimestamp(int(UID.partition(".")[2]), UTC)
        body = {
            "annotation": annotation(2000, [added(50, 50, "bus", side=64)], parent=None),
            "task": submitted,
            "project": {"id": 3, "created_at": made.isoformat()},
        }
        body["annotation"]["result"][0]["original_height"] = 48
        EventStorage(scene.database).save_event("ANNOTATION_CREATED", 3, body)
        examples = ExampleStorage(scene.database, limit=scene.settings.learn_examples)
        wait_until(lambda: examples.status(UID, "").learnt == 1, seconds=60)
        assert len(scene.queue) > 0
        assert scene.fake.of_task(1500) == []


def test_a_worker_without_redis_says_what_to_set() -> None:
    with pytest.raises(WorkerRefused, match="REDIS_URL"):
        run_worker(Settings())


def test_a_worker_without_its_model_says_why_in_one_line(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.pth"
    rubbish.write_bytes(b"no weights at all")
    settings = Settings(
        redis_url="redis://127.0.0.1:1/0",
        data_dir=tmp_path,
        model_weights=str(rubbish),
        model_arch=SMALL,
    )
    threads = torch.get_num_threads()
    with pytest.raises(WorkerRefused) as caught:
        run_worker(settings)
    torch.set_num_threads(threads)
    assert "rubbish.pth" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_detection_waits_for_no_other_thread_for_long() -> None:
    threads, interval = torch.get_num_threads(), sys.getswitchinterval()
    try:
        set_up_threads(Settings(detection_threads=2))
        assert torch.get_num_threads() == 2
        assert sys.getswitchinterval() == pytest.approx(0.0005)
    finally:
        torch.set_num_threads(threads)
        sys.setswitchinterval(interval)
