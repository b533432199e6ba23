"""`serve` as a process of its own, with a real Redis, a real web process and a real worker."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests
from redis import Redis
from rq import Worker
from serving import PLAIN_ENVIRONMENT, ROOT, Serving, descendants, eventually, lives, serving, state
from small_weights import save_small_network

from backend.commands.serve import _wait_until_ready
from backend.local import embedded_redis
from backend.local.processes import spawn
from backend.local.supervisor import ChildRefused, Supervisor
from backend.settings import Settings
from backend.suggestions.queue import NAME

PARTS = ("gunicorn", "backend worker", "redis-server")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    return save_small_network(path, ("car", "bus"), input_size=64)


@pytest.fixture(scope="module")
def running(weights: Path, tmp_path_factory: pytest.TempPathFactory):
    """A running backend, shared by the tests that leave it unchanged."""
    folder = tmp_path_factory.mktemp("data")
    with serving(folder, {"MODEL_WEIGHTS": str(weights)}) as backend:
        assert eventually(backend.health), backend.words()
        assert eventually(lambda: registered_workers(backend)), backend.words()
        yield backend


def registered_workers(backend: Serving) -> set[str]:
    """Return the names of the workers that detect and that Redis knows; trainers start sooner."""
    with Redis.from_url(embedded_redis.address(backend.folder)) as connection:
        workers = Worker.all(connection=connection)
        return {worker.name for worker in workers if NAME in worker.queue_names()}


def test_it_says_where_it_listens_and_what_to_do_next_once_it_is_ready(running):
    words = running.words()
    assert f"Ready: {running.url} (model version {running.health()['model_version']})" in words
    assert "Connect Model" in words
    assert "ML_BLOCK_LOCAL_IP=false SSRF_PROTECTION_ENABLED=false" in words
    assert "LABEL_STUDIO_API_KEY" in words


def test_an_environment_that_lacks_label_studio_ml_ends_everything_with_what_to_do(
    weights, tmp_path
):
    options = ("--label-studio-ml", sys.prefix)
    with serving(tmp_path, {"MODEL_WEIGHTS": str(weights)}, *options) as backend:
        assert eventually(lambda: backend.process.poll() is not None), backend.words()
        assert backend.process.returncode == os.EX_CONFIG
        assert "make label-studio-ml" in backend.words()
        assert "Traceback" not in backend.words()


def test_the_web_process_never_loads_torch(running):
    for pid in running.pids("gunicorn"):
        assert "libtorch" not in Path(f"/proc/{pid}/maps").read_text()
    for pid in running.pids("backend worker"):
        assert "libtorch" in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize("part", PARTS)
def test_whatever_is_killed_is_started_again(part, running):
    before = set(running.pids(part))
    assert before
    workers = registered_workers(running)

    running.kill(part)

    def replaced() -> bool:
        now = set(running.pids(part))
        return len(now) == len(before) and not now & before

    assert eventually(replaced), running.words()
    assert eventually(running.health), running.words()
    if part == "backend worker":
        assert eventually(lambda: registered_workers(running) - workers)
    # It accepts work: what happens is stored.
    event = {"action": "TASKS_DELETED", "project": {"id": 7}}
    assert requests.post(f"{running.url}/webhook", json=event, timeout=10).ok


def test_with_a_redis_of_ones_own_and_a_password_it_starts_none_and_says_how_to_connect(
    weights, tmp_path, redis_connection, redis_url
):
    environment = {
        "MODEL_WEIGHTS": str(weights),
        "REDIS_URL": redis_url,
        "BASIC_AUTH_USER": "anna",
        "BASIC_AUTH_PASS": "swordfish",
    }
    with serving(tmp_path, environment) as backend:
        assert eventually(lambda: "Ready: " in backend.words()), backend.words()
        assert backend.pids("gunicorn")
        assert not backend.pids("redis-server")
        assert "http://anna:PASSWORD@" in backend.words()
        assert "swordfish" not in backend.words()


def test_a_process_that_ends_before_all_are_ready_ends_the_wait():
    supervisor = Supervisor(refusal=os.EX_CONFIG)
    supervisor.start("web", lambda: spawn([sys.executable, "-c", "raise SystemExit(3)"]))
    stop = threading.Event()
    late = threading.Timer(20, stop.set)
    late.start()
    with pytest.raises(ChildRefused, match="ended before all were ready"):
        _wait_until_ready(supervisor, Settings(port=1), stop)
    late.cancel()
    supervisor.end(grace=0)


def test_a_signal_that_comes_before_all_are_ready_ends_the_wait():
    stop = threading.Event()
    stop.set()
    assert not _wait_until_ready(Supervisor(refusal=os.EX_CONFIG), Settings(), stop)


def test_a_port_that_is_taken_is_reported_before_anything_starts(tmp_path, weights):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = serve(tmp_path / "data", PORT=str(port), MODEL_WEIGHTS=str(weights))
    assert result.returncode == os.EX_CONFIG
    assert f"port {port}" in result.stderr
    assert "set PORT" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_a_database_that_cannot_be_opened_is_reported_in_one_line(tmp_path, weights):
    url = f"sqlite:///{tmp_path}"  # a folder
    result = serve(tmp_path / "data", DATABASE_URL=url, MODEL_WEIGHTS=str(weights))
    assert result.returncode == os.EX_CONFIG
    assert "expected to open the database of DATABASE_URL" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_worker_that_cannot_have_its_weights_ends_it_all_with_the_reason(tmp_path):
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"nothing that a network could use")
    result = serve(tmp_path / "data", MODEL_WEIGHTS=str(weights), MODEL_ARCH="small")
    assert result.returncode == os.EX_CONFIG
    assert str(weights) in result.stderr
    assert "Traceback" not in result.stderr


def serve(data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `serve` until it ends by itself."""
    variables = {"PORT": "0", **PLAIN_ENVIRONMENT, "DATA_DIR": str(data_dir), **environment}
    if variables["PORT"] == "0":
        with socket.create_server(("127.0.0.1", 0)) as free:
            variables["PORT"] = str(free.getsockname()[1])
    return subprocess.run(
        [sys.executable, "-m", "backend", "serve"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def data_of_many_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_running_nor_lost_when_it_ends_by(death, data_of_many_runs, weights):
    environment = {"MODEL_WEIGHTS": str(weights), "DETECTION_WORKERS": "2"}
    with serving(data_of_many_runs, environment) as backend:
        assert eventually(lambda: len(backend.pids("backend worker")) == 2), backend.words()
        before = actions(backend)
        event = {"action": death.name, "project": {"id": 7}}
        assert requests.post(f"{backend.url}/webhook", json=event, timeout=10).ok
        everything = [backend.process.pid, *descendants(backend.process.pid)]
        assert len(everything) >= 6  # itself, Redis, gunicorn and its process, the workers
        if death != signal.SIGINT:
            suspend(backend.pids("backend worker")[0])

        os.kill(backend.process.pid, death)
        backend.process.wait(60)

        assert eventually(lambda: not any(lives(pid) for pid in everything))
        assert backend.process.returncode == (-death if death == signal.SIGKILL else 0)
        assert actions(backend) == [*before, death.name]


def suspend(pid: int) -> None:
    """Make a process ignore SIGTERM, as a worker does during a long computation."""
    os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: state(pid) == "T")


def actions(backend: Serving) -> list[str]:
    """Return the actions of the stored events."""
    with sqlite3.connect(backend.folder / "backend.sqlite3") as database:
        return [action for (action,) in database.execute("SELECT action FROM events ORDER BY id")]
