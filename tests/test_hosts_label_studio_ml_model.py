"""Our model in both versions of `label-studio-ml`, over their real flow of calls; see the doubles.

The same requests go to our own web process on the same database: both have to answer alike.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import label_studio_ml_doubles as doubles
import pytest
from flask.testing import FlaskClient
from label_studio_fake import CONFIG, UID
from packaging.utils import canonicalize_name
from redis import Redis
from rq import Queue
from serving import PLAIN_ENVIRONMENT, ROOT
from test_requirements import requirements
from test_web_label_studio_routes import DETECTION, sample, task

from backend.database.connection import Database
from backend.hosts import hosted_contract
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings, SettingsError
from backend.suggestions.queue import make_opened_queue
from backend.suggestions.storage import PredictionStorage
from backend.training.storage import TrainingStorage
from backend.verdicts.storage import EventStorage
from backend.web.app import create_app

STUDIO = "http://127.0.0.1:8080"
OTHER = UID.replace("3.", "4.")
PROJECT = {"id": 3, "created_at": "2026-11-22T11:42:04Z", "label_config": CONFIG, "token": "s3cret"}

Modules = Callable[[], dict[str, ModuleType]]
VERSIONS = [pytest.param(doubles.first, id="1.0.9"), pytest.param(doubles.second, id="2.x")]


@pytest.fixture(autouse=True)
def variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unread_weights: Path, redis_url: str
) -> Iterator[None]:
    """The environment of a hosted process, which assembles its services anew in each test."""
    values = {
        "DATA_DIR": str(tmp_path),
        "REDIS_URL": redis_url,
        "LABEL_STUDIO_URL": STUDIO,
        "MODEL_WEIGHTS": str(unread_weights),
        "PREDICT_WAIT_ONE": "0",
        "PREDICT_WAIT_BATCH": "0",
        "SUGGEST": "always",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    # Its thread would outlive the test, and take the durations that other tests count.
    monkeypatch.setattr(hosted_contract, "store_in_background", lambda database: None)
    hosted_contract._assembled.cache_clear()
    yield
    if hosted_contract._assembled.cache_info().currsize:
        hosted_contract.hosted_contract().projects._database.close()
    hosted_contract._assembled.cache_clear()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Modules], ModuleType]:
    """Import our model beside a version of `label-studio-ml`; returns its module."""

    def importing(version: Modules) -> ModuleType:
        for name, module in version().items():
            monkeypatch.setitem(sys.modules, name, module)
        for name in doubles.DEPENDENT:
            monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(doubles.DEPENDENT[1])

    return importing


@pytest.fixture(params=VERSIONS)
def model(install: Callable[[Modules], ModuleType], request: pytest.FixtureRequest) -> ModuleType:
    """The module of our model, in each version in turn."""
    return install(request.param)


@pytest.fixture
def hosted_on(
    model: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Database], FlaskClient]:
    """Start `label-studio-ml` with our model on a database; returns a client of it."""

    def start(database: Database) -> FlaskClient:
        monkeypatch.setenv("DATABASE_URL", database.engine.url.render_as_string(False))
        init_app = sys.modules[f"{doubles.PACKAGE}.api"].init_app
        found: FlaskClient = init_app(model.KeypointDetector).test_client()
        return found

    return start


@pytest.fixture
def host(hosted_on: Callable[[Database], FlaskClient], database: Database) -> FlaskClient:
    """A client of `label-studio-ml` with our model."""
    return hosted_on(database)


@pytest.fixture
def web(database: Database, queue: Queue, unread_weights: Path) -> FlaskClient:
    """A client of our own web process on the same database."""
    settings = Settings(
        model_weights=str(unread_weights),
        predict_wait_one=0,
        predict_wait_batch=0,
        suggest="always",
        label_studio_url=STUDIO,
    )
    return create_app(settings, database, queue).test_client()


def set_up(client: FlaskClient, uid: str = UID, **more: Any) -> Any:
    body = {"project": uid, "schema": CONFIG, "hostname": STUDIO, "access_token": "t"} | more
    answer = client.post("/setup", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json


def predict(client: FlaskClient, *tasks: object, uid: str = UID, context: Any = None) -> Any:
    body = {
        "tasks": list(tasks),
        "project": uid,
        "label_config": CONFIG,
        "params": {"login": None, "password": None, "context": context},
    }
    answer = client.post("/predict", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return answer.json["results"]


def finish(database: Database, number: int) -> None:
    [row] = PredictionStorage(database).of_task(number)
    PredictionStorage(database).finish(row.id, DETECTION)


def test_setup_tells_the_version_of_the_project_and_stores_where_it_is(
    host: FlaskClient, web: FlaskClient, database: Database
) -> None:
    version = set_up(web, OTHER)["model_version"]
    assert set_up(host)["model_version"] == version
    found = ProjectStorage(database).project(UID)
    assert found is not None
    assert (found.hostname, found.label_config) == (STUDIO, CONFIG)


@pytest.mark.parametrize(
    "extra", ['{"threshold": 0.4}', {"threshold": 0.4}], ids=["text", "object"]
)
def test_setup_accepts_the_settings_of_a_project(
    extra: object, host: FlaskClient, database: Database
) -> None:
    set_up(host, extra_params=extra)
    found = ProjectStorage(database).project(UID)
    assert found is not None
    assert found.settings.as_json() == {"threshold": 0.4}


def test_a_task_that_is_not_ready_is_queued_and_answered_later_as_our_own_web_process_does(
    host: FlaskClient, web: FlaskClient, database: Database, redis_connection: Redis
) -> None:
    set_up(host)
    assert predict(host, task(1)) == [[]]
    [row] = PredictionStorage(database).of_task(1)
    assert row.project_uid == UID
    assert make_opened_queue(redis_connection).count == 1
    finish(database, 1)
    [found] = predict(host, task(1))
    assert found["result"] and found["model_version"] == row.model_version
    predict(web, task(2))
    finish(database, 2)
    [expected] = predict(web, task(2))
    values = [[region["value"] for region in each["result"]] for each in (found, expected)]
    assert values[0] == values[1]


def test_what_was_delivered_once_is_not_delivered_by_the_other_server_again(
    host: FlaskClient, web: FlaskClient, database: Database
) -> None:
    set_up(host)
    predict(host, task(1), task(2))
    finish(database, 1)
    [first, second] = predict(host, task(1), task(2))
    assert first["result"] and second == []
    assert predict(web, task(1), task(2)) == predict(host, task(1), task(2))


def test_a_request_is_about_the_project_that_it_names_and_not_about_the_last_that_was_set_up(
    host: FlaskClient, database: Database
) -> None:
    set_up(host)
    set_up(host, OTHER)
    predict(host, task(1), uid=UID)
    predict(host, task(2), uid=OTHER)
    rows = [PredictionStorage(database).of_task(number)[0] for number in (1, 2)]
    assert [row.project_uid for row in rows] == [UID, OTHER]


def test_an_annotator_who_draws_is_answered_as_by_our_own_web_process(
    host: FlaskClient, web: FlaskClient
) -> None:
    body = sample("predict_interactive")
    body["label_config"] = CONFIG
    set_up(host, body["project"])
    answers = [client.post("/predict", json=body) for client in (host, web)]
    assert [answer.status_code for answer in answers] == [200, 200]
    [found, expected] = [answer.json["results"] for answer in answers]  # type: ignore[index]
    assert found == expected
    assert found[0].keys() == {"result", "score", "model_version"}


@pytest.mark.parametrize(
    "action", ["ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED"]
)
def test_an_event_is_stored_as_our_own_web_process_stores_it(
    action: str, host: FlaskClient, web: FlaskClient, database: Database
) -> None:
    body = {"action": action, "annotation": {"id": 7, "result": []}, "project": PROJECT}
    for client, status in ((host, 201), (web, 200)):
        assert client.post("/webhook", json=body).status_code == status
    [found, expected] = stored(database)
    assert found == expected
    assert found["action"] == action
    assert "token" not in found["project"]


@pytest.mark.parametrize(
    "body",
    [
        {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 5}], "project": PROJECT},
        {"action": "TASKS_DELETED", "tasks": [{"id": 5}], "project": PROJECT},
    ],
    ids=["of annotations", "of tasks"],
)
def test_deletions_are_stored_although_the_host_knows_no_such_event(
    body: dict[str, Any], host: FlaskClient, database: Database
) -> None:
    assert host.post("/webhook", json=body).status_code == 201
    [found] = stored(database)
    assert found == {**body, "project": {k: v for k, v in PROJECT.items() if k != "token"}}


def stored(database: Database) -> list[dict[str, Any]]:
    return [event.body for event in EventStorage(database).unhandled(10)]


def test_a_number_that_json_does_not_allow_is_stored_as_text(
    hosted_on: Callable[[Database], FlaskClient], any_database: Database
) -> None:
    """PostgreSQL would refuse it."""
    raw = f'{{"action": "ANNOTATION_CREATED", "lead": NaN, "project": {json.dumps(PROJECT)}}}'
    host = hosted_on(any_database)
    answer = host.post("/webhook", data=raw, content_type="application/json")
    assert answer.status_code == 201
    [found] = stored(any_database)
    assert found["lead"] == "NaN"


def test_the_button_of_label_studio_starts_a_training(
    host: FlaskClient, database: Database
) -> None:
    body = {"action": "START_TRAINING", "project": PROJECT}
    assert host.post("/webhook", json=body).status_code == 201
    [training] = TrainingStorage(database).latest(10)
    assert training.project_uid.startswith("3.")


def test_what_is_no_event_is_refused(model: ModuleType, host: FlaskClient) -> None:
    with pytest.raises(TypeError, match="/webhook"):
        model.KeypointDetector().fit((), None)


def test_outside_of_a_request_nothing_is_predicted_and_the_error_says_why(
    model: ModuleType,
) -> None:
    with pytest.raises(RuntimeError, match="POST to /predict"):
        model.KeypointDetector().predict([task(1)])


# What may be wrong


def test_another_version_of_the_host_is_refused_with_what_to_do(
    install: Callable[[Modules], ModuleType],
) -> None:
    with pytest.raises(ImportError, match=r"1\.0\.9 or 2\.x, got 0\.9\.2.*make label-studio-ml"):
        install(doubles.unknown)


def test_without_the_host_the_import_says_what_to_do() -> None:
    ended = python("import backend.hosts.label_studio_ml_model")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("ImportError: expected the package")
    assert "make label-studio-ml" in ended.stderr


def test_the_server_ends_without_the_host_so_that_nobody_starts_it_again() -> None:
    ended = python("", "-m", "backend.hosts.label_studio_ml_server")
    assert ended.returncode == os.EX_CONFIG
    assert "make label-studio-ml" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_model_that_lacks_a_setting_says_so_as_soon_as_it_is_made(
    model: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does the host's option --check."""
    monkeypatch.delenv("REDIS_URL")
    with pytest.raises(SettingsError, match="REDIS_URL"):
        model.KeypointDetector()


def test_without_redis_tasks_wait_in_the_database(
    host: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    set_up(host)
    assert predict(host, task(1)) == [[]]
    assert [row.status for row in PredictionStorage(database).of_task(1)] == ["queued"]


def refusal_of(client: FlaskClient, path: str, body: object) -> tuple[int, str, str, Any]:
    """Status, its reason, Retry-After and body of an answer that refuses a request."""
    answer = client.post(path, json=body)
    reason = answer.status.partition(" ")[2]
    return answer.status_code, reason, answer.headers["Retry-After"], answer.json


def test_a_request_beyond_the_limits_is_answered_as_by_our_own_web_process(
    hosted_on: Callable[[Database], FlaskClient],
    database: Database,
    queue: Queue,
    unread_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = {"max_projects": 1, "max_waiting_tasks": 2, "max_trainings_per_day": 1}
    for name, value in limits.items():
        monkeypatch.setenv(name.upper(), str(value))
    settings = Settings(model_weights=str(unread_weights), label_studio_url=STUDIO, **limits)
    web, host = create_app(settings, database, queue).test_client(), hosted_on(database)
    set_up(host)
    pressed = host.post("/webhook", json={"action": "START_TRAINING", "project": PROJECT})
    assert pressed.status_code == 201
    [training] = TrainingStorage(database).latest(5)
    TrainingStorage(database).fail(training.id, "no labels")
    tasks = {"tasks": [task(each) for each in range(1, 4)], "project": UID, "label_config": CONFIG}
    for path, body, setting in (
        ("/setup", {"project": OTHER, "schema": CONFIG}, "MAX_PROJECTS=1"),
        ("/predict", tasks, "MAX_WAITING_TASKS=2"),
        ("/webhook", {"action": "START_TRAINING", "project": PROJECT}, "MAX_TRAININGS_PER_DAY=1"),
    ):
        status, reason, after, error = refusal_of(host, path, body)
        assert (status, error) == (429, {"error": reason})
        assert setting in reason
        ours = refusal_of(web, path, body)
        assert (status, reason, error) == (ours[0], ours[1], ours[3])
        assert 0 < int(after) <= 86_400
    assert set_up(host) == set_up(web), "others go on"


def test_a_disk_that_is_nearly_full_is_answered_as_by_our_own_web_process(
    hosted_on: Callable[[Database], FlaskClient],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIN_FREE_DISK", str(2**40))
    status, reason, _, error = refusal_of(
        hosted_on(database), "/setup", {"project": UID, "schema": CONFIG}
    )
    assert (status, error) == (503, {"error": reason})
    assert "MIN_FREE_DISK" in reason


def python(code: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a process of its own, with nothing set."""
    return subprocess.run(
        [sys.executable, *(arguments or ("-c", code))],
        cwd=ROOT,
        env=PLAIN_ENVIRONMENT | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"} | more,
        capture_output=True,
        text=True,
        timeout=60,
    )


LOAD = """
import sys, label_studio_ml_doubles as doubles
sys.modules.update(doubles.first())
known = set(sys.modules)
import backend.hosts.label_studio_ml_model, alembic.command, psycopg
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - known}))
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The packages that a hosted process loads."""
    ended = python(LOAD)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.split())


def test_a_hosted_process_loads_no_torch(loaded: set[str]) -> None:
    assert "sqlalchemy" in loaded
    assert not loaded & {"torch", "torchvision", "cv2"}


def test_all_that_a_hosted_process_needs_is_among_its_requirements_in_our_version() -> None:
    own = {str(each) for each in requirements(ROOT / "requirements.txt")}
    hosted = {str(each) for each in requirements(ROOT / "requirements-hosted.txt")}
    assert hosted <= own


def test_a_hosted_process_loads_nothing_of_ours_that_its_requirements_lack(
    loaded: set[str],
) -> None:
    def names(file: str) -> set[str]:
        return {canonicalize_name(each.name) for each in requirements(ROOT / file)}

    known = packages_distributions()
    found = {canonicalize_name(each) for name in loaded for each in known.get(name, ())}
    needed = found & names("requirements.txt")
    assert len(needed) > 8
    assert needed <= names("requirements-hosted.txt")
