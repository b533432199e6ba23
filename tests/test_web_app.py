import base64
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from rq import Queue
from serving import PLAIN_ENVIRONMENT, ROOT

from backend.database.connection import Database
from backend.settings import Settings
from backend.web.app import create_app

PASSWORD = "pä:ss"


@pytest.fixture
def app(database: Database, queue: Queue, unread_weights: Path) -> Flask:
    return create_app(Settings(model_weights=str(unread_weights)), database, queue)


@pytest.fixture
def guarded(database: Database, queue: Queue, unread_weights: Path) -> FlaskClient:
    settings = Settings(
        model_weights=str(unread_weights), basic_auth_user="anna", basic_auth_pass=PASSWORD
    )
    return create_app(settings, database, queue).test_client()


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


GUARDED = [
    ("GET", "/setup"),
    ("POST", "/setup"),
    ("POST", "/predict"),
    ("POST", "/webhook"),
    ("GET", "/versions"),
    ("GET", "/metrics"),
    ("GET", "/jobs/1"),
    ("GET", "/nowhere"),
]


@pytest.mark.parametrize(("method", "address"), GUARDED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("anna", "wrong"),
        basic("bert", PASSWORD),
        basic("anna", ""),
        {"Authorization": "Bearer abc"},
        {"Authorization": "Basic !!!"},
    ],
)
def test_without_the_password_nothing_but_health_is_answered(
    guarded: FlaskClient, method: str, address: str, headers: dict[str, str]
) -> None:
    answer = guarded.open(address, method=method, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert "BASIC_AUTH_USER" in answer.json["error"]  # type: ignore[index]
    assert guarded.get("/health").status_code == 200


@pytest.mark.parametrize(("method", "address"), GUARDED)
def test_with_the_password_everything_is_answered(
    guarded: FlaskClient, method: str, address: str
) -> None:
    answer = guarded.open(address, method=method, headers=basic("anna", PASSWORD))
    assert answer.status_code != 401


# As gunicorn starts it


def start(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=PLAIN_ENVIRONMENT | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


CREATE = "from backend.web.app import create_from_environment; app = create_from_environment(); "


def test_gunicorn_gets_an_application_that_has_connected_to_nothing(
    unread_weights: Path, tmp_path: Path
) -> None:
    ended = start(
        CREATE + "print(app.test_client().get('/health').json['status'])",
        REDIS_URL="redis://127.0.0.1:1/0",
        DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        MODEL_WEIGHTS=str(unread_weights),
    )
    assert ended.stdout == "UP\n", ended.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [({}, "REDIS_URL"), ({"PORT": "x", "THREADS": "y"}, "THREADS")],
    ids=["no Redis", "wrong settings"],
)
def test_an_application_that_cannot_be_says_why(variables: dict[str, str], said: str) -> None:
    ended = start(CREATE, **variables)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
