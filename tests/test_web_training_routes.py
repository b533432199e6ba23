"""The button "Start training", and what the web process reports about trainings and models."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from label_studio_fake import CONFIG, UID
from redis import Redis
from rq import Queue
from test_training_registry import OUTCOME, new_model
from test_web_label_studio_routes import predict, sample, task

from backend.database.connection import Database
from backend.settings import Settings
from backend.suggestions.queue import make_queue
from backend.suggestions.storage import PredictionStorage
from backend.training.queue import (
    enqueue_trainings_again,
    make_training_queue,
    training_job_id,
)
from backend.training.records import Progress, TrainingOptions
from backend.training.registry import ModelRegistry
from backend.training.storage import TrainingStorage
from backend.verdicts.storage import EventStorage
from backend.web.app import create_app

MADE_AT = datetime.fromtimestamp(int(UID.partition(".")[2]) + 0.5, UTC).isoformat()
PROJECT = {"id": 3, "created_at": MADE_AT, "label_config": CONFIG, "token": "x"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"weights")
    return Settings(
        model_weights=str(weights),
        predict_wait_one=0,
        data_dir=tmp_path,
        suggest="always",
        label_studio_url="http://127.0.0.1:8080",
    )


@pytest.fixture
def app(settings: Settings, database: Database, queue: Queue) -> Flask:
    return create_app(settings, database, queue)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def trainings(database: Database) -> TrainingStorage:
    return TrainingStorage(database)


@pytest.fixture
def training_queue(redis_connection: Redis) -> Queue:
    return make_training_queue(redis_connection)


def press(client: FlaskClient, project: Any = PROJECT) -> Any:
    answer = client.post("/webhook", json={"action": "START_TRAINING", "project": project})
    assert answer.status_code == 200, answer.text
    return answer.json


def listed(client: FlaskClient, **query: str) -> Any:
    return client.get("/training", query_string=query).json["trainings"]  # type: ignore[index]


def test_the_button_asks_for_a_training_on_a_queue_of_its_own(
    client: FlaskClient, training_queue: Queue, queue: Queue, trainings: TrainingStorage
) -> None:
    number = press(client)["training"]
    training = trainings.training(number)
    assert training is not None
    assert (training.project_uid, training.options) == (UID, TrainingOptions())
    assert training_queue.get_job_ids() == [training_job_id(training)]
    assert queue.count == 0
    [job] = training_queue.jobs
    assert (list(job.args), job.timeout) == ([number], 86400)


def test_label_studios_own_request_asks_for_one(
    client: FlaskClient, trainings: TrainingStorage
) -> None:
    body = sample("webhook_START_TRAINING")
    assert client.post("/webhook", json=body).status_code == 200
    [training] = trainings.latest(1)
    assert training.project_uid.startswith("1.")


def test_pressed_again_it_goes_on_with_the_same_training(
    client: FlaskClient, training_queue: Queue, trainings: TrainingStorage
) -> None:
    first = press(client)
    assert press(client) == first
    assert training_queue.count == 1
    trainings.fail(first["training"], "no labels")
    assert press(client) != first


def test_a_press_without_a_project_is_stored_and_answered_with_what_is_missing(
    client: FlaskClient, database: Database, training_queue: Queue
) -> None:
    for project in (None, {}, {**PROJECT, "created_at": 5}, {**PROJECT, "label_config": None}):
        assert "expected the project" in press(client, project)["error"]
    assert training_queue.count == 0
    assert EventStorage(database).events_by_action() == {"START_TRAINING": 4}


def test_without_redis_a_press_is_not_lost(
    settings: Settings, database: Database, trainings: TrainingStorage, training_queue: Queue
) -> None:
    client = create_app(settings, database, make_queue(Redis(port=1))).test_client()
    press(client)
    assert enqueue_trainings_again(training_queue, settings, database) == 1
    assert training_queue.count == 1


def test_the_progress_of_a_training_is_listed(
    client: FlaskClient, trainings: TrainingStorage
) -> None:
    number = press(client)["training"]
    [found] = listed(client)
    assert (found["id"], found["project"], found["status"]) == (number, UID, "queued")
    trainings.record_progress(number, Progress("training", 2, 20))
    [found] = listed(client, project=UID)
    assert (found["status"], found["progress"]["done"]) == ("running", 2)
    trainings.succeed(number, new_model(1), OUTCOME, use=True)
    press(client)
    _, found = listed(client)
    assert (found["status"], found["progress"]) == ("done", None)
    assert found["outcome"]["left_out"] == [["task 1", "too small"]]
    assert found["outcome"]["decision"] == "it answers"
    assert listed(client, project="4.1") == []


def test_a_new_model_is_reported_and_requested_without_a_restart(
    client: FlaskClient, settings: Settings, database: Database, trainings: TrainingStorage
) -> None:
    body = {"project": UID, "schema": CONFIG, "hostname": "http://127.0.0.1:8080"}
    first = client.post("/setup", json=body).json["model_version"]  # type: ignore[index]
    predict(client, task(1))
    trainings.succeed(press(client)["training"], new_model(1), OUTCOME, use=True)
    second = ModelRegistry(settings, database).active(UID).version
    assert second != first
    assert client.post("/setup", json=body).json == {"model_version": second}
    assert client.get("/versions").json == {"versions": [first, second]}
    figures = client.get("/metrics").text
    assert f'keypoint_project_model_info{{project="{UID}",version="{second}"}} 1.0' in figures
    other = {**body, "project": "4.1795347724"}
    assert client.post("/setup", json=other).json == {"model_version": first}
    assert client.get("/setup").json == {"model_version": first}
    assert client.get("/health").json["model_version"] == first  # type: ignore[index]
    assert f'keypoint_model_info{{version="{first}"}} 1.0' in figures
    predict(client, task(1))
    assert {row.model_version for row in PredictionStorage(database).of_task(1)} == {first, second}
    ModelRegistry(settings, database).activate_previous(UID)
    assert client.post("/setup", json=body).json == {"model_version": first}
