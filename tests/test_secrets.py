"""No token, password or header of a request ends where others read: a whole run is searched."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from conftest import _new_database
from label_studio_fake import CONFIG, PROJECT, TOKEN, UID, LabelStudioFake, label_studio_fake
from redis import Redis
from serving import Serving, eventually, serving
from small_weights import save_small_network
from test_suggestions_detection_job import PNG
from upkeep_data import contents

from backend.database.connection import Database
from backend.local import embedded_redis

PASSWORD = "marked-password-of-callers"
OF_SETUP = "marked-token-of-setup-000000000000000000"
OF_PROJECT = "marked-token-of-the-project"
IN_ADDRESS = "marked-signature-of-an-address"
SECRETS = (TOKEN, PASSWORD, OF_SETUP, OF_PROJECT)

ROUTES = (
    *("/", "/health", "/setup", "/versions", "/report", "/agreement", "/training", "/jobs"),
    *("/jobs/1", "/jobs/2", "/jobs/3", "/jobs/4", "/metrics", "/nowhere"),
    *("/export?format=csv", "/export?format=json", "/export?format=coco"),
)


def call(backend: Serving, method: str, path: str, body: object = None) -> str:
    """Status, headers and body of an answer, as one text."""
    answer = requests.request(
        method, backend.url + path, json=body, auth=("anna", PASSWORD), timeout=60
    )
    return f"{answer.status_code} {answer.headers} {answer.text}"


def use(backend: Serving, fake: LabelStudioFake) -> str:
    """Do what Label Studio, annotators and attackers do; return all that was answered."""
    tasks = [fake.add_task(number, PNG) for number in (1, 2, 3, 4)]
    fake.unavailable.add("/data/upload/3/image-2.png")
    tasks[2]["data"]["image"] = f"{fake.url}/api/projects/?key={IN_ADDRESS}"
    tasks[3]["data"]["image"] = (
        f"http://localhost:{urlsplit(fake.url).port}/a.png?X-Amz-Signature={IN_ADDRESS}"
    )
    setup = {
        "project": UID,
        "schema": CONFIG,
        "hostname": fake.url,
        "access_token": OF_SETUP,
        "extra_params": None,
    }
    predict = {"project": UID, "label_config": CONFIG, "tasks": tasks}
    event = {
        "action": "ANNOTATION_CREATED",
        "project": {"id": PROJECT, "token": OF_PROJECT},
        "task": tasks[0],
        "annotation": {"id": 1, "result": [], "completed_by": 1, "lead_time": 1.0},
    }
    said = [call(backend, "POST", "/setup", setup)]
    said += [call(backend, "POST", "/predict", predict)]
    assert eventually(lambda: fake.of_task(1)), backend.words()
    said += [call(backend, "POST", "/predict", predict)]
    said += [call(backend, "POST", "/webhook", event)]
    assert eventually(lambda: '"failed"' in call(backend, "GET", "/jobs/3")), backend.words()
    fake.refuses = True
    said += [call(backend, "POST", "/webhook", event | {"action": "START_TRAINING"})]
    unaccepted = "does not accept the token"
    assert eventually(lambda: unaccepted in call(backend, "GET", "/jobs/2")), backend.words()
    return "\n".join(said + [call(backend, "GET", route) for route in ROUTES])


def dump(url: str) -> str:
    """Every row of every table as text."""
    database = Database(url)
    try:
        return repr(contents(database))
    finally:
        database.close()


def everything_stored(folder: Path, database_url: str) -> str:
    """The database's dump, Redis's keys and values, and the bytes of every other file."""
    found = [dump(database_url)]
    with Redis.from_url(embedded_redis.address(folder)) as redis:
        found += [repr((key, redis.dump(key))) for key in redis.scan_iter()]
    for path in folder.rglob("*"):
        if path.is_file():
            found.append(path.read_bytes().decode("latin-1"))
    return "\n".join(found)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a run has answered, logged at its most talkative, and stored."""
    folder = tmp_path_factory.mktemp("data")
    database_url = f"sqlite:///{folder / 'backend.sqlite3'}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        database_url = _new_database(server, request.getfixturevalue("migrated_postgres"))
    weights = save_small_network(folder.parent / "w.safetensors", ("car", "bus"), input_size=64)
    with label_studio_fake() as fake:
        environment = {
            "MODEL_WEIGHTS": str(weights),
            "DATABASE_URL": database_url,
            "LABEL_STUDIO_URL": fake.url,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "BASIC_AUTH_USER": "anna",
            "BASIC_AUTH_PASS": PASSWORD,
            "LOG_LEVEL": "DEBUG",
            "SUGGEST": "always",
            "IMAGE_HOSTS": "localhost",
            "PREDICT_WAIT_BATCH": "0",  # so that workers deliver
        }
        with serving(folder, environment) as backend:
            assert eventually(backend.health), backend.words()
            answers = use(backend, fake)
            assert any(TOKEN in str(request.headers) for request in fake.requests), "it was used"
            return {
                "answers": answers,
                "log": backend.words(),
                "storage": everything_stored(folder, database_url),
            }


@pytest.mark.parametrize("place", ["answers", "log", "storage"])
def test_no_secret_is_found_in(place: str, run: dict[str, str]):
    assert len(run[place]) > 1000
    found = [secret for secret in SECRETS if secret in run[place]]
    assert found == []


@pytest.mark.parametrize("place", ["answers", "log"])
def test_no_signature_of_an_address_and_no_trace_is_found_in(place: str, run: dict[str, str]):
    assert [
        run[place][m.start() - 300 : m.end()] for m in re.finditer(IN_ADDRESS, run[place])
    ] == []
    # One record of the log starts with a date; RQ explains each failure at DEBUG.
    records = re.split(r"^(?=\d{4}-\d\d-\d\d )", run[place], flags=re.MULTILINE)
    traces = [each for each in records if "Traceback (most" in each and " DEBUG " not in each]
    assert traces == []
    assert "Authorization" not in run[place]


def test_the_run_has_reached_what_it_is_about(run: dict[str, str]):
    assert "expected an upload, a local file" in run["answers"]
    assert "got status 401" in run["answers"]
    assert json.dumps(UID) in run["answers"]
    assert "annotation_states" in run["storage"] and UID in run["storage"]
