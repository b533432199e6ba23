"""/ready is 503 where requests cannot be answered, and only there."""

import subprocess
import time
from pathlib import Path

import pytest
from conftest import free_port, redis_executable, wait_until
from flask.testing import FlaskClient
from migrating import downgrade
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.serializers import JSONSerializer

from backend.database.connection import Database
from backend.settings import Settings
from backend.suggestions.queue import make_queue
from backend.web.app import create_app


def ready(client: FlaskClient) -> tuple[int, list[str], list[str]]:
    answer = client.get("/ready")
    found = answer.json
    assert found is not None
    assert (found["status"] == "READY") == (answer.status_code == 200)
    return answer.status_code, found["problems"], found["warnings"]


def test_with_everything_at_hand_it_is_ready(client: FlaskClient, queue: Queue) -> None:
    Worker([queue], connection=queue.connection, serializer=JSONSerializer).register_birth()
    assert ready(client) == (200, [], [])


def test_without_a_worker_it_is_ready_and_says_so(client: FlaskClient) -> None:
    assert ready(client) == (200, [], ["no worker is running: what is requested waits"])


def test_a_database_behind_its_migrations_is_not_ready(
    client: FlaskClient, database: Database
) -> None:
    newest = next(iter(database.newest_version()))
    downgrade(database, "0014")
    status, [problem], _ = ready(client)
    assert status == 503
    assert problem.startswith(f"expected tables of version {newest}, got 0014")
    database.migrate()
    assert ready(client)[0] == 200


def test_without_a_database_it_is_not_ready_and_gives_no_address(
    queue: Queue, unread_weights: Path
) -> None:
    database = Database(f"postgresql://keypoints:secret@127.0.0.1:{free_port()}/x")
    settings = Settings(model_weights=str(unread_weights))
    client = create_app(settings, database, queue).test_client()
    status, problems, _ = ready(client)
    assert status == 503
    assert problems == ["the database cannot be reached: see the backend's log"]


def test_without_redis_it_is_ready_because_nothing_is_lost(
    database: Database, unread_weights: Path
) -> None:
    queue = make_queue(Redis(port=free_port()))
    client = create_app(Settings(model_weights=str(unread_weights)), database, queue).test_client()
    warning = "Redis cannot be reached: what is requested waits in the database"
    assert ready(client) == (200, [], [warning])
    assert client.post("/webhook", json={"action": "ANNOTATION_CREATED"}).status_code == 200


def test_a_redis_that_hangs_does_not_hold_up_the_answer(
    database: Database, unread_weights: Path
) -> None:
    import signal

    port = free_port()
    server = subprocess.Popen(
        [redis_executable(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        connection = Redis(port=port, socket_timeout=60)

        def answers() -> bool:
            try:
                return bool(connection.ping())
            except RedisError:
                return False

        wait_until(answers)
        settings = Settings(model_weights=str(unread_weights))
        client = create_app(settings, database, make_queue(connection)).test_client()
        ready(client)
        server.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        assert ready(client)[0] == 200
        assert time.monotonic() - began < 30  # and not the minute that the client would wait
    finally:
        server.kill()
        server.wait()


def test_the_password_is_not_asked_for(database: Database, queue: Queue, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    settings = Settings(
        model_weights=str(weights), basic_auth_user="anna", basic_auth_pass="correct horse"
    )
    client = create_app(settings, database, queue).test_client()
    assert client.get("/ready").status_code == 200
    assert client.get("/status").status_code == 401


@pytest.fixture(autouse=True)
def _no_workers_left(redis_connection: Redis) -> None:
    """Each test begins with an empty Redis."""
