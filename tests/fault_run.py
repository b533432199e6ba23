"""Break the parts of a real deployment while it works, and count what arrives all the same.

    python tests/fault_run.py --tasks 500 --annotations 200 --report docs/reliability.md

Each fault has a deployment of its own: `serve` with two workers, a Redis, a database, and a
stand-in of Label Studio over real HTTP. `test_faults` runs some of the faults in a short form.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import psycopg
import requests
from label_studio_fake import CONFIG, TOKEN, UID, LabelStudioFake
from loopback_server import Answer, LoopbackServer, loopback_server
from redis import Redis
from redis.exceptions import RedisError
from rq.job import Job
from serving import Serving, serving
from small_weights import save_small_network
from sqlalchemy import text

from backend.database.connection import Database
from backend.local.embedded_redis import _executable
from backend.local.label_studio import free_port
from backend.suggestions.queue import make_queue

ROOT = Path(__file__).parent.parent
INITDB = ["-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"]
GIVES_UP_SECONDS = 240.0
BEGINS, ENDS = "<!-- measured faults -->", "<!-- end of what was measured faults -->"


def wait_for(condition: Callable[[], object], seconds: float) -> bool:
    """Return whether a condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@dataclass
class OwnRedis:
    """A Redis that keeps nothing on disk."""

    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def start(self) -> None:
        options = [
            "--bind",
            self.host,
            "--protected-mode",
            "no",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self.process = subprocess.Popen(
            [_executable(), "--port", str(self.port), *options],
            stdout=subprocess.DEVNULL,
            cwd=tempfile.gettempdir(),
        )

        def answers() -> bool:
            try:
                with Redis.from_url(self.url) as connection:
                    return bool(connection.ping())
            except RedisError:
                return False

        assert wait_for(answers, 30)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class OwnPostgres:
    """A PostgreSQL server of its own, which can be restarted."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"postgresql://tester@{self.host}:{self.port}/postgres"

    def __post_init__(self) -> None:
        # Imported here: conftest needs pytest's own plugins.
        from conftest import postgres_program, unprivileged_user

        self.user, self.program = unprivileged_user(), postgres_program("postgres")
        if self.user:
            shutil.chown(self.folder, self.user)
        subprocess.run(
            [postgres_program("initdb"), "-D", str(self.folder / "data"), *INITDB],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self.user,
            cwd=self.folder,
        )
        network = f"{self.host.rpartition('.')[0]}.0/24"
        with (self.folder / "data" / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {network} trust\n")

    def start(self) -> None:
        listen = ["-h", self.host, "-p", str(self.port), "-k", str(self.folder)]
        self.process = subprocess.Popen(
            [self.program, "-D", str(self.folder / "data"), *listen],
            stderr=subprocess.DEVNULL,
            user=self.user,
            cwd=self.folder,
        )

        def answers() -> bool:
            try:
                psycopg.connect(self.url).close()
            except psycopg.OperationalError:
                return False
            return True

        assert wait_for(answers, 30)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # at once, without losing what is committed
            self.process.wait()


class Deployment:
    """Everything that a fault may break."""

    def __init__(self, folder: Path, tasks: int, annotations: int, kind: str) -> None:
        self.folder, self.count, self.annotations = folder, tasks, annotations
        self.fake, self.redis = LabelStudioFake(), OwnRedis()
        self.port = free_port()
        self.fake.url = f"http://127.0.0.1:{self.port}"
        self.fake.image_seconds = 0.05
        self.postgres = OwnPostgres(Path(tempfile.mkdtemp())) if kind == "postgresql" else None
        self._label_studio: AbstractContextManager[LoopbackServer] | None = None
        self._serve: AbstractContextManager[Serving] | None = None
        self.serve: Serving | None = None
        self.event_times = 1  # how often each event is sent
        self.lost_events = 0
        pixels = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        from test_suggestions_detection_job import encoded

        for number in range(1, tasks + 1):
            self.fake.add_task(number, encoded(pixels))

    def __enter__(self) -> "Deployment":
        self.weights = save_small_network(self.folder / "small.safetensors")
        self.redis.start()
        if self.postgres is not None:
            self.postgres.start()
        self.label_studio_up()
        self.serve_up()
        return self

    def __exit__(self, *_: object) -> None:
        self.fake.hands_out.set()
        self.serve_down()
        self.label_studio_down()
        self.redis.kill()
        if self.postgres is not None:
            self.postgres.stop()
            shutil.rmtree(self.postgres.folder, ignore_errors=True)

    # Parts that a fault stops and starts

    def label_studio_up(self) -> None:
        self._label_studio = loopback_server(self.fake.handle, port=self.port)
        self._label_studio.__enter__()

    def label_studio_down(self) -> None:
        if self._label_studio is not None:
            self._label_studio.__exit__(None, None, None)
            self._label_studio = None

    def serve_up(self) -> None:
        variables = {
            "REDIS_URL": self.redis.url,
            "LABEL_STUDIO_URL": self.fake.url,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "MODEL_WEIGHTS": str(self.weights),
            "DETECTOR_INPUT_SIZE": "32",
            "DETECTOR_STRIDE": "16",
            "DETECTION_WORKERS": "2",
            "TRAINING_WORKERS": "0",
            "PREDICT_WAIT_BATCH": "0",
            "SYNC_EVERY": "20",
            "SUGGEST": "always",
            "OMP_NUM_THREADS": "1",
            "MIN_FREE_DISK": "0",  # work goes on until the disk is full
        }
        if self.postgres is not None:
            variables["DATABASE_URL"] = self.postgres.url
        self._serve = serving(self.folder / "data", variables)
        self.serve = self._serve.__enter__()
        assert wait_for(lambda: self.serve and self.serve.health(), 60), self.serve.words()

    def serve_down(self) -> None:
        if self._serve is not None:
            self._serve.__exit__(None, None, None)
            self._serve = None

    @property
    def database(self) -> Database:
        url = f"sqlite:///{self.folder / 'data' / 'backend.sqlite3'}"
        return Database(self.postgres.url if self.postgres else url)

    # What Label Studio and annotators do

    def post(self, path: str, body: Any) -> Any:
        assert self.serve is not None
        answer = requests.post(f"{self.serve.url}{path}", json=body, timeout=100)
        answer.raise_for_status()
        return answer.json()

    def request_predictions(self) -> None:
        """Ask for all of them at once, as Label Studio does."""
        setup = {"project": UID, "schema": CONFIG, "hostname": self.fake.url, "access_token": TOKEN}
        self.post("/setup", setup)
        tasks = list(self.fake.tasks.values())
        found = self.post("/predict", {"tasks": tasks, "project": UID, "label_config": CONFIG})
        self.fake.store_answers(tasks, found["results"])

    def annotate(self, number: int) -> None:
        """Submit an annotation, of which Label Studio tells the backend once."""
        made = {
            "id": number,
            "task": number,
            "created_at": "2026-11-22T12:00:00Z",
            "updated_at": "2026-11-22T12:00:00Z",
            "completed_by": 1,
            "lead_time": 3.5,
            "was_cancelled": False,
            "result": [],
        }
        self.fake.tasks[number]["annotations"].append(made)
        project = {"id": 3, "created_at": "2026-11-22T12:00:00Z"}
        project["created_at"] = time.strftime(
            "%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(UID.partition(".")[2]))
        )
        try:
            body = {"action": "ANNOTATION_CREATED", "annotation": made, "project": project}
            for _ in range(self.event_times):
                assert self.serve is not None
                answer = requests.post(f"{self.serve.url}/webhook", json=body, timeout=1)
                answer.raise_for_status()
        except requests.RequestException:
            self.lost_events += 1

    # What has arrived

    def predictions(self) -> int:
        return sum(bool(self.fake.of_task(number)) for number in self.fake.tasks)

    def doubles(self) -> int:
        return sum(len(self.fake.of_task(number)) > 1 for number in self.fake.tasks)

    def verdict_sets(self) -> int:
        database = self.database
        try:
            with database.reading() as connection:
                query = text("SELECT count(DISTINCT annotation_id) FROM annotation_states")
                return int(connection.execute(query).scalar_one())
        except Exception:  # the database is what is broken
            return 0
        finally:
            database.close()

    def done(self) -> bool:
        return self.predictions() == self.count and self.verdict_sets() == self.annotations


# Faults: each breaks something, and lets it be whole again at the end


Fault = Callable[[Deployment, float], None]


def label_studio_away(deployment: Deployment, seconds: float) -> None:
    deployment.label_studio_down()
    time.sleep(seconds)
    deployment.label_studio_up()


def images_answered_with(answer: Answer) -> Fault:
    def fault(deployment: Deployment, seconds: float) -> None:
        deployment.fake.answer_instead = answer
        time.sleep(seconds / 3)
        deployment.fake.answer_instead = None

    return fault


def api_fails(deployment: Deployment, seconds: float) -> None:
    deployment.fake.unavailable = {"/api/predictions/", "/api/tasks/"}
    time.sleep(seconds / 3)
    deployment.fake.unavailable = set()


def token_refused(deployment: Deployment, seconds: float) -> None:
    deployment.fake.refuses = True
    time.sleep(seconds / 3)
    deployment.fake.refuses = False


def label_studio_hangs(deployment: Deployment, seconds: float) -> None:
    deployment.fake.hangs = 30
    time.sleep(seconds / 3)
    deployment.fake.hangs = 0


def list_lost(deployment: Deployment, _: float) -> None:
    with Redis.from_url(deployment.redis.url) as connection:
        connection.delete(make_queue(connection).key)


def jobs_lost(deployment: Deployment, _: float) -> None:
    with Redis.from_url(deployment.redis.url) as connection:
        names = make_queue(connection).get_job_ids()
        if names:
            connection.delete(*map(Job.key_for, names))


def redis_flushed(deployment: Deployment, _: float) -> None:
    with Redis.from_url(deployment.redis.url) as connection:
        connection.flushall()


def redis_killed(deployment: Deployment, seconds: float) -> None:
    deployment.redis.kill()
    time.sleep(seconds / 12)
    deployment.redis.start()


def worker_killed(deployment: Deployment, _: float) -> None:
    assert deployment.serve is not None
    deployment.serve.kill("backend worker")


def workers_killed_delivering(deployment: Deployment, _: float) -> None:
    """Label Studio answers slowly, so that each worker dies with several deliveries begun."""
    assert deployment.serve is not None
    wait_for(lambda: deployment.predictions() > 0, 60)
    deployment.fake.hangs = 1
    time.sleep(3)
    deployment.serve.kill("backend worker")
    deployment.fake.hangs = 0


def web_killed(deployment: Deployment, _: float) -> None:
    assert deployment.serve is not None
    deployment.serve.kill("gunicorn")


def serve_killed(deployment: Deployment, seconds: float) -> None:
    assert deployment.serve is not None
    os.kill(deployment.serve.process.pid, signal.SIGKILL)
    deployment.serve_down()
    time.sleep(seconds / 12)
    deployment.serve_up()


def postgres_restarted(deployment: Deployment, seconds: float) -> None:
    if deployment.postgres is not None:
        deployment.postgres.stop()
        time.sleep(seconds / 12)
        deployment.postgres.start()


def odd_events(deployment: Deployment, _: float) -> None:
    for odd in (int("9" * 400), [], {}, "\ud800", "\0"):
        for name in ("lead_time", "id", "result", "task"):
            annotation = {"id": 9, "task": 9, "result": [{"id": odd, "type": odd}], name: odd}
            body = {"action": "ANNOTATION_CREATED", "annotation": annotation}
            deployment.post("/webhook", body)


def one_worker_killed(deployment: Deployment, _: float) -> None:
    assert deployment.serve is not None
    os.kill(deployment.serve.pids("backend worker")[0], signal.SIGKILL)


def workers_stopped(deployment: Deployment, seconds: float) -> None:
    """As on a machine that is suspended: they go on with what others have taken over."""
    assert deployment.serve is not None
    pids = deployment.serve.pids("backend worker")
    for number, halt in enumerate((signal.SIGSTOP, signal.SIGCONT)):
        for pid in pids:
            os.kill(pid, halt)
        time.sleep(seconds / 3 if number == 0 else 0)


def serve_ended(deployment: Deployment, seconds: float) -> None:
    deployment.serve_down()  # by SIGTERM
    time.sleep(seconds / 12)
    deployment.serve_up()


def one_queue_lost(deployment: Deployment, _: float) -> None:
    """Its list and its jobs."""
    list_of = make_queue(Redis.from_url(deployment.redis.url))
    with list_of.connection as connection:
        names = list_of.get_job_ids()
        connection.delete(list_of.key, *map(Job.key_for, names))


def redis_stopped(deployment: Deployment, seconds: float) -> None:
    process = deployment.redis.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds / 3)
    process.send_signal(signal.SIGCONT)


def redis_full(deployment: Deployment, seconds: float) -> None:
    with Redis.from_url(deployment.redis.url) as connection:
        connection.config_set("maxmemory", 1)
        time.sleep(seconds / 3)
        connection.config_set("maxmemory", 0)


def database_locked(deployment: Deployment, seconds: float) -> None:
    database = deployment.database
    with database.engine.connect() as connection:
        if deployment.postgres is None:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
        else:
            connection.exec_driver_sql("LOCK TABLE predictions, events IN ACCESS EXCLUSIVE MODE")
        time.sleep(seconds / 3)
        connection.rollback()
    database.close()


def half_requests(deployment: Deployment, seconds: float) -> None:
    """As many clients as gunicorn has threads, and more, none of which sends a whole request."""
    assert deployment.serve is not None
    place = deployment.serve.url.rpartition("/")[2].partition(":")
    with ExitStack() as stack:
        for number in range(200):
            client = socket.create_connection((place[0], int(place[2])), timeout=10)
            stack.enter_context(client).sendall(b"POST /webhook HTTP/1.1\r\n"[: number % 30])
        time.sleep(seconds / 3)


def stored_then_failed(deployment: Deployment, seconds: float) -> None:
    deployment.fake.fails_after_storing = 10**9
    time.sleep(seconds / 3)
    deployment.fake.fails_after_storing = 0


def events_thrice(deployment: Deployment, _: float) -> None:
    deployment.event_times = 3


def several(deployment: Deployment, seconds: float) -> None:
    """Of everything something, one after the other."""
    worker_killed(deployment, seconds)
    label_studio_away(deployment, seconds / 4)
    list_lost(deployment, seconds)
    images_answered_with(Answer(500))(deployment, seconds / 2)
    redis_killed(deployment, seconds)
    token_refused(deployment, seconds / 2)
    postgres_restarted(deployment, seconds)
    web_killed(deployment, seconds)


PAGE = Answer(body=b"<html>Log in</html>", headers={"Content-Type": "text/html"})
BUSY = Answer(429, headers={"Retry-After": "5"})
FAULTS: dict[str, Fault] = {
    "Label Studio away for {0:.0f} s": label_studio_away,
    "images answered with 401 for {1:.0f} s": images_answered_with(Answer(401)),
    "images answered with 500 for {1:.0f} s": images_answered_with(Answer(500)),
    "the queue's list lost, its jobs kept": list_lost,
    "several of these, one after the other": several,
    "images answered with 429 and Retry-After for {1:.0f} s": images_answered_with(BUSY),
    "a log-in page in place of images for {1:.0f} s": images_answered_with(PAGE),
    "Label Studio's API answers 503 for {1:.0f} s": api_fails,
    "Label Studio refuses the token for {1:.0f} s": token_refused,
    "Label Studio's API hangs for {1:.0f} s": label_studio_hangs,
    "the queue's jobs lost, its list kept": jobs_lost,
    "Redis flushed": redis_flushed,
    "Redis killed, and empty when it is back": redis_killed,
    "both workers killed": worker_killed,
    "both workers killed while they deliver": workers_killed_delivering,
    "web processes killed": web_killed,
    "`serve` killed with all its processes": serve_killed,
    "PostgreSQL restarted": postgres_restarted,
    "20 odd events": odd_events,
    "one worker killed": one_worker_killed,
    "workers suspended for {1:.0f} s": workers_stopped,
    "`serve` ended by SIGTERM and started again": serve_ended,
    "one queue lost, its list and its jobs": one_queue_lost,
    "Redis hangs for {1:.0f} s": redis_stopped,
    "Redis full for {1:.0f} s": redis_full,
    "the database locked for {1:.0f} s": database_locked,
    "200 clients with half a request for {1:.0f} s": half_requests,
    "Label Studio stores predictions and answers 500 for {1:.0f} s": stored_then_failed,
    "every event comes three times": events_thrice,
}


@dataclass(frozen=True)
class Outcome:
    """What arrived in spite of a fault.

    Attributes:
        first: s from the end of the fault until one more prediction was there; None if none was
            missing, or none came.
        seconds: from the end of the fault until everything was there; None if it never was.
    """

    fault: str
    database: str
    predictions: int
    doubles: int
    verdict_sets: int
    first: float | None
    seconds: float | None
    log_lines: int
    tracebacks: int


def run_fault(
    name: str, kind: str, *, tasks: int, annotations: int, seconds: float, folder: Path
) -> Outcome:
    """Ask for predictions, break something, submit annotations meanwhile, and wait."""
    with Deployment(folder, tasks, annotations, kind) as deployment, ExitStack() as stack:
        wait_for(lambda: "Ready" in ((deployment.serve and deployment.serve.words()) or ""), 60)
        deployment.request_predictions()
        stack.enter_context(_annotating(deployment))
        FAULTS[name](deployment, seconds)
        ended, before = time.monotonic(), deployment.predictions()
        goes_on = before < tasks and wait_for(
            lambda: deployment.predictions() > before, GIVES_UP_SECONDS
        )
        first = time.monotonic() - ended if goes_on else None
        complete = wait_for(deployment.done, GIVES_UP_SECONDS)
        took = time.monotonic() - ended
        time.sleep(3)  # for a second delivery, which must not come
        assert deployment.serve is not None
        words = deployment.serve.words()
        return Outcome(
            name.format(seconds, seconds / 3),
            kind,
            deployment.predictions(),
            deployment.doubles(),
            deployment.verdict_sets(),
            first,
            took if complete else None,
            words.count("\n"),
            words.count("Traceback"),
        )


@contextmanager
def _annotating(deployment: Deployment) -> Iterator[None]:
    def run() -> None:
        for number in range(1, deployment.annotations + 1):
            deployment.annotate(number)
            time.sleep(0.05)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()


def as_table(outcomes: list[Outcome], tasks: int, annotations: int) -> str:
    """Return outcomes as a table in Markdown."""
    lines = [
        f"| fault | database | predictions of {tasks} | of these twice "
        f"| verdict sets of {annotations} | first one after, s | all after, s "
        "| log lines | tracebacks |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in outcomes:
        took = f"{each.seconds:.0f}" if each.seconds is not None else "never"
        first = f"{each.first:.1f}" if each.first is not None else "–"
        lines.append(
            f"| {each.fault} | {each.database} | {each.predictions} | {each.doubles} "
            f"| {each.verdict_sets} | {first} | {took} | {each.log_lines} | {each.tracebacks} |"
        )
    return "\n".join(lines)


def with_rows(table: str, measured: str) -> str:
    """Return a table with the rows of another one in place of its own, and those it lacks behind.

    Raises:
        ValueError: they were not measured with the same numbers.
    """
    lines, new = table.splitlines(), measured.splitlines()
    if lines[:2] != new[:2]:
        raise ValueError(f"expected rows under {lines[0]}, got {new[0]}")
    found = {tuple(line.split(" | ")[:2]): line for line in lines[2:]}
    found |= {tuple(line.split(" | ")[:2]): line for line in new[2:]}
    return "\n".join([*lines[:2], *found.values()])


@click.command()
@click.option("--tasks", default=500, show_default=True)
@click.option("--annotations", default=200, show_default=True)
@click.option("--seconds", default=120.0, show_default=True, help="Length of the longest outage.")
@click.option("--only", multiple=True, help="Part of the name of a fault; may be repeated.")
@click.option("--database", multiple=True, default=("sqlite", "postgresql"), show_default=True)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write the table into this file; with --only, its rows.",
)
def main(
    tasks: int,
    annotations: int,
    seconds: float,
    only: tuple[str, ...],
    database: tuple[str, ...],
    report: Path | None,
) -> None:
    """Break a deployment in every way, and print what arrived all the same."""
    outcomes: list[Outcome] = []
    for name in FAULTS:
        if only and not any(part in name for part in only):
            continue
        for kind in database:
            if kind == "sqlite" and FAULTS[name] is postgres_restarted:
                continue
            with tempfile.TemporaryDirectory() as folder:
                size = {"tasks": tasks, "annotations": annotations}
                outcome = run_fault(name, kind, **size, seconds=seconds, folder=Path(folder))
            outcomes.append(outcome)
            print(outcome, flush=True)
            if report is not None:
                before, _, rest = report.read_text().partition(BEGINS)
                old, _, after = rest.partition(ENDS)
                table = as_table(outcomes, tasks, annotations)
                if only:
                    table = with_rows(old.strip(), table)
                report.write_text(f"{before}{BEGINS}\n{table}\n{ENDS}{after}")
    print(as_table(outcomes, tasks, annotations))
    sys.exit(any(each.seconds is None or each.doubles for each in outcomes))


if __name__ == "__main__":
    main()
