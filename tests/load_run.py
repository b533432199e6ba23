"""Put load on a real deployment, and measure how quickly it answers.

    python tests/load_run.py --weights squeezenet1_1.pth --report docs/reliability.md

The deployment is `serve` with its defaults (one worker, the embedded Redis, SQLite), and a stand-in
of Label Studio over real HTTP. `test_load` runs it in a short form.
"""

import http.client
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import numpy as np
from fault_run import OwnRedis, wait_for
from label_studio_fake import CONFIG, TOKEN, UID, LabelStudioFake, label_studio_fake
from PIL import Image
from redis import Redis
from serving import Serving, command_line, descendants, serving
from sqlalchemy import text
from test_suggestions_detection_job import encoded

from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.suggestions.queue import enqueue_again, make_queue
from backend.suggestions.records import Wanted
from backend.suggestions.storage import PredictionStorage

BEGINS, ENDS = "<!-- measured load -->", "<!-- end of what was measured load -->"
SECONDS_OF_SETTLING = 2.0
ROLES = {
    "decoding_process": "decoding process",
    "backend serve": "`serve`",
    "gunicorn": "web process",
    "backend worker": "detection worker",
    "backend trainer": "training worker",
    "redis-server": "Redis",
}


@dataclass
class Latencies:
    """How long one kind of request took.

    Attributes:
        seconds: of each request that was answered with 200.
        failures: requests that were not.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    failures: int = 0

    def percentile(self, share: float) -> float:
        return float(np.quantile(self.seconds, share)) if self.seconds else float("nan")

    def row(self) -> str:
        figures = [1000 * self.percentile(share) for share in (0.5, 0.95, 0.99, 1.0)]
        cells = " | ".join(f"{each:,.0f}" for each in figures)
        return f"| {self.name} | {len(self.seconds):,} | {self.failures} | {cells} |"


@dataclass
class Opened:
    """How opening tasks went.

    Attributes:
        empty: answers without a suggestion.
        behind: fewest tasks of the batch that still waited at one of the answers.
    """

    latencies: Latencies
    empty: int = 0
    behind: int = 10**9


@dataclass(frozen=True)
class Load:
    """What was measured.

    Attributes:
        tasks: of the one large request.
        batch_seconds: until that was answered.
        memory: name of a process → MB before the batch, and at the end.
        images: predictions that were made in between.
        per_second: of them, on average.
        doubles: tasks that have more than one prediction in Label Studio.
        events, recorded: webhooks that were answered with 200, and annotations in the log of them.
    """

    tasks: int
    batch_seconds: float
    opened: Opened
    webhooks: Latencies
    rate: float
    health_beside_batch: Latencies
    health_beside_opened: Latencies
    health_beside_webhooks: Latencies
    memory: Mapping[str, tuple[float, float]]
    images: int
    per_second: float
    doubles: int
    events: int
    recorded: int


class LoadedDeployment:
    """A deployment with its defaults, and what is asked of it."""

    def __init__(self, fake: LabelStudioFake, serve: Serving, image: bytes) -> None:
        self.fake, self.serve, self._image = fake, serve, image
        self._numbers = count(1)
        self._lock = threading.Lock()
        place = urlsplit(serve.url)
        self._host, self._port = place.hostname or "", place.port
        self.database = Database(f"sqlite:///{serve.folder / 'backend.sqlite3'}")

    def add_task(self, image: bytes | None = None) -> dict[str, Any]:
        with self._lock:
            number = next(self._numbers)
        return self.fake.add_task(number, image or self._image)

    def send(self, path: str, body: object = None) -> tuple[int, bytes, float]:
        """Send a request on a connection of its own, as Label Studio does.

        Returns:
            Status, body, and s that it took.
        """
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if content else {}
        began = time.monotonic()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=100)
        try:
            connection.request("POST" if content else "GET", path, content, headers)
            answer = connection.getresponse()
            found = answer.read()
        finally:
            connection.close()
        return answer.status, found, time.monotonic() - began

    def measure(self, latencies: Latencies, path: str, body: object = None) -> Any:
        """Send a request, add how long it took, and return the decoded answer; None for none."""
        try:
            status, found, seconds = self.send(path, body)
        except OSError:
            status, found, seconds = 0, b"", 0.0
        with self._lock:
            if status != 200:
                latencies.failures += 1
                return None
            latencies.seconds.append(seconds)
        return json.loads(found)

    def predict(self, latencies: Latencies, tasks: list[dict[str, Any]]) -> list[Any] | None:
        """Ask for suggestions, and store them as Label Studio does."""
        body = {"tasks": tasks, "project": UID, "label_config": CONFIG}
        found = self.measure(latencies, "/predict", body)
        if found is None:
            return None
        self.fake.store_answers(tasks, found["results"])
        return list(found["results"])

    def made(self) -> int:
        """Return how many predictions Label Studio has."""
        return len(self.fake.predictions)

    def recorded(self) -> int:
        """Return how many annotations are in the log."""
        query = text("SELECT count(DISTINCT annotation_id) FROM annotation_states")
        with self.database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def memory(self) -> dict[str, float]:
        """Return the memory of each of our processes, MB; of several of a kind, the largest."""
        found: dict[str, float] = {}
        pid = self.serve.process.pid
        for each in [pid, *descendants(pid)]:
            words, megabytes = command_line(each), _resident(each)
            for part, role in ROLES.items():
                if part in words:
                    found[role] = max(found.get(role, 0.0), megabytes)
                    break
        return found


def _resident(pid: int) -> float:
    """Return the memory of a process, MB; 0 for one that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    sizes = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(sizes[0]) / 1024 if sizes else 0.0


@contextmanager
def health_beside(deployment: LoadedDeployment, latencies: Latencies) -> Iterator[None]:
    """Ask /health ten times a second inside the block."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(0.1):
            deployment.measure(latencies, "/health")

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def open_tasks(
    deployment: LoadedDeployment, batch: list[dict[str, Any]], annotators: int, seconds: float
) -> Opened:
    """Let annotators open tasks, every second one of the end of the batch, and look at each.

    Each looks at a task for half a minute on average, or shorter in a short run.
    """
    found = Opened(Latencies("an annotator opens a task"))
    lock, until = threading.Lock(), time.monotonic() + seconds
    looks = min(30.0, seconds / 2)
    last = list(batch)

    def annotate(number: int) -> None:
        chance = random.Random(number)
        pause = chance.uniform(0, looks)
        while time.monotonic() + pause < until:
            time.sleep(pause)
            pause = chance.expovariate(1 / looks)
            with lock:
                task = last.pop() if chance.random() < 0.5 and last else deployment.add_task()
            body = {"project": UID, "schema": CONFIG, "hostname": deployment.fake.url}
            deployment.send("/health")
            deployment.send("/setup", {**body, "access_token": TOKEN})
            if deployment.fake.of_task(task["id"]):
                continue  # Label Studio asks for what it does not have
            results = deployment.predict(found.latencies, [task])
            with lock:
                found.empty += results is not None and not results[0]
                found.behind = min(found.behind, len(batch) - deployment.made())

    _all_at_once(annotate, annotators)
    return found


def send_events(
    deployment: LoadedDeployment, rate: float, seconds: float, first: int = 1
) -> Latencies:
    """Send so many events a second, each at its time, whether or not others are answered.

    Args:
        first: number of the first annotation, and of its task.
    """
    found = Latencies("/webhook")
    senders = 20
    began = time.monotonic()

    def send(sender: int) -> None:
        for number in range(sender, round(rate * seconds), senders):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            deployment.measure(found, "/webhook", _event(number + first))

    _all_at_once(send, senders)
    return found


def _all_at_once(act: Callable[[int], None], threads: int) -> None:
    started = [threading.Thread(target=act, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def _event(number: int) -> dict[str, Any]:
    """Return the event of an annotation with eight points, drawn without a suggestion."""
    regions = [
        {
            "id": f"{number}-{place}",
            "from_name": "kp",
            "to_name": "image",
            "type": "keypointlabels",
            "original_width": 640,
            "original_height": 480,
            "value": {"x": 10 * place, "y": 50, "width": 0.6, "keypointlabels": ["nose"]},
        }
        for place in range(1, 9)
    ]
    made_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(UID.partition(".")[2])))
    annotation = {
        "id": number,
        "task": number,
        "created_at": "2026-11-22T12:00:00Z",
        "updated_at": "2026-11-22T12:00:00Z",
        "completed_by": 1 + number % 50,
        "lead_time": 12.5,
        "was_cancelled": False,
        "result": regions,
    }
    project = {"id": 3, "created_at": made_at, "label_config": CONFIG}
    return {"action": "ANNOTATION_CREATED", "annotation": annotation, "project": project}


def run_load(
    folder: Path,
    environment: Mapping[str, str],
    *,
    tasks: int,
    annotators: int,
    rate: float,
    seconds: float,
    images: int,
    image_seconds: float = 0.0,
) -> Load:
    """Request a batch, open tasks and send events while it is made, and wait for more images.

    Args:
        environment: variables of `serve`.
        tasks: of the batch.
        annotators: who open tasks at the same time.
        rate: events a second.
        seconds: how long annotators open tasks, and then how long events come.
        images: predictions after which the memory is compared.
        image_seconds: how long Label Studio takes to hand out an image.
    """
    with ExitStack() as stack:
        fake = stack.enter_context(label_studio_fake())
        fake.image_seconds = image_seconds
        variables = {"LABEL_STUDIO_URL": fake.url, "LABEL_STUDIO_API_KEY": TOKEN, "SYNC_EVERY": "0"}
        serve = stack.enter_context(
            serving(folder, {**variables, "SUGGEST": "always"} | environment)
        )
        assert wait_for(lambda: serve.health() and "Ready" in serve.words(), 120), serve.words()
        deployment = LoadedDeployment(fake, serve, _picture())
        stack.callback(deployment.database.close)
        health = [Latencies(f"/health beside {what}") for what in ("the batch", "these", "them")]
        # One opened task first, so that whatever is loaded once is loaded.
        deployment.predict(Latencies(""), [deployment.add_task()])
        before = deployment.memory()
        batch = [deployment.add_task() for _ in range(tasks)]
        answered, began = Latencies(""), time.monotonic()
        with health_beside(deployment, health[0]):
            deployment.predict(answered, batch)
        with health_beside(deployment, health[1]):
            opened = open_tasks(deployment, batch, annotators, seconds)
        with health_beside(deployment, health[2]):
            webhooks = send_events(deployment, rate, seconds)
        wanted = min(images, tasks)
        wait_for(lambda: deployment.made() >= wanted, 3600)
        made, took = deployment.made(), time.monotonic() - began
        after = deployment.memory()
        sent = len(webhooks.seconds)
        wait_for(lambda: deployment.recorded() >= sent, 300)
        time.sleep(SECONDS_OF_SETTLING)  # for a second delivery, which must not come
        numbers = [each["task"] for each in list(fake.predictions)]
        return Load(
            tasks=tasks,
            batch_seconds=answered.percentile(1.0),
            opened=opened,
            webhooks=webhooks,
            rate=rate,
            health_beside_batch=health[0],
            health_beside_opened=health[1],
            health_beside_webhooks=health[2],
            memory={role: (before.get(role, 0.0), size) for role, size in after.items()},
            images=made,
            per_second=made / took,
            doubles=len(numbers) - len(set(numbers)),
            events=sent,
            recorded=deployment.recorded(),
        )


@dataclass(frozen=True)
class Filling:
    """What it costs to keep the queue filled, ms of one processor core, medians.

    Attributes:
        waiting, projects: predictions that wait in the database, and of how many projects.
        full: while the queue runs short of nothing.
        lost: after Redis has lost everything.
    """

    waiting: int
    projects: int
    full: float
    lost: float


def measure_filling(folder: Path, waiting: int, projects: int, repeats: int = 20) -> Filling:
    """Let predictions of many projects wait, and fill the queue again and again."""
    database, redis = Database(f"sqlite:///{folder / 'filling.sqlite3'}"), OwnRedis()
    database.migrate()
    for number in range(projects):
        uid = f"{number + 1}.1"
        ProjectStorage(database).save_label_config(uid, CONFIG)
        asked = [Wanted(task, "", f"{task:064d}", {}) for task in range(waiting // projects)]
        PredictionStorage(database).request(uid, "v", asked, retry_failed_before=now())
    redis.start()
    try:
        with Redis.from_url(redis.url) as connection:
            queue, settings = make_queue(connection), Settings()

            def cost(lose: Callable[[], object]) -> float:
                costs = []
                for _ in range(repeats):
                    lose()
                    began = time.process_time()
                    enqueue_again(queue, settings, database)
                    costs.append(1000 * (time.process_time() - began))
                return float(np.median(costs))

            lost = cost(connection.flushall)
            return Filling(waiting, projects, cost(lambda: None), lost)
    finally:
        redis.kill()
        database.close()


def _picture() -> bytes:
    """Return a photo of 640 × 480 px: smooth, with some detail."""
    coarse = np.random.default_rng(1).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)
    return encoded(np.asarray(smooth), "JPEG")


def as_report(found: Load, filling: Filling) -> str:
    """Return what was measured in Markdown."""
    requests = [
        found.opened.latencies,
        found.health_beside_opened,
        found.webhooks,
        found.health_beside_webhooks,
        found.health_beside_batch,
    ]
    lines = [
        f"{found.tasks:,} tasks in one /predict were answered in {found.batch_seconds:.1f} s. "
        f"Then {len(found.opened.latencies.seconds):,} tasks were opened while at least "
        f"{found.opened.behind:,} of the batch waited; {found.opened.empty} got no suggestion in "
        f"the answer. Events came at {found.rate:.0f} a second; {found.recorded:,} of "
        f"{found.events:,} are in the log. {found.doubles} tasks have two suggestions.",
        "",
        "| request | answered | failed | median, ms | 95th percentile | 99th | longest |",
        "|---|---|---|---|---|---|---|",
        *(each.row() for each in requests),
        "",
        f"Memory over {found.images:,} images, at {found.per_second:.1f} a second while all of "
        "this happened:",
        "",
        "| process | MB before | MB after |",
        "|---|---|---|",
        *(
            f"| {role} | {before:.0f} | {after:.0f} |"
            for role, (before, after) in found.memory.items()
        ),
        "",
        f"With {filling.waiting:,} tasks of {filling.projects} projects waiting, a look at the "
        f"queue takes {filling.full:.1f} ms of one processor core while it is full, and "
        f"{filling.lost:.1f} ms after Redis has lost everything.",
    ]
    return "\n".join(lines)


@click.command()
@click.option("--weights", help="Weights file; by default, that of `serve`.")
@click.option("--arch", help="Its architecture, if its name does not say it.")
@click.option("--tasks", default=10_000, show_default=True)
@click.option("--annotators", default=50, show_default=True)
@click.option("--rate", default=200.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=60.0, show_default=True, help="Of opening, and of events.")
@click.option("--images", default=1000, show_default=True, help="After which memory is compared.")
@click.option("--workers", help="DETECTION_WORKERS; by default, as many as `serve` chooses.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the figures into this file.")
def main(
    weights: str | None,
    arch: str | None,
    tasks: int,
    annotators: int,
    rate: float,
    seconds: float,
    images: int,
    workers: str | None,
    report: Path | None,
) -> None:
    """Put load on a deployment with its defaults, and print how quickly it answered."""
    chosen = {"MODEL_WEIGHTS": weights, "MODEL_ARCH": arch, "DETECTION_WORKERS": workers}
    environment = {name: value for name, value in chosen.items() if value}
    with tempfile.TemporaryDirectory() as folder:
        found = run_load(
            Path(folder),
            environment,
            tasks=tasks,
            annotators=annotators,
            rate=rate,
            seconds=seconds,
            images=images,
        )
        filling = measure_filling(Path(folder), 100_000, 20)
    words = as_report(found, filling)
    if report is not None:
        before, _, rest = report.read_text().partition(BEGINS)
        after = rest.partition(ENDS)[2]
        report.write_text(f"{before}{BEGINS}\n{words}\n{ENDS}{after}")
    print(words)


if __name__ == "__main__":
    main()
