"""The id of a request follows its tasks from /predict to the delivery."""

import logging

import pytest
from flask.testing import FlaskClient
from label_studio_fake import CONFIG, UID
from test_web_label_studio_routes import predict, task

from backend.database.connection import Database
from backend.suggestions.storage import PredictionStorage


def ask(client: FlaskClient, request_id: str | None) -> str:
    body = {"project": UID, "label_config": CONFIG, "tasks": [task(1)]}
    headers = {"X-Request-ID": request_id} if request_id is not None else {}
    return client.post("/predict", json=body, headers=headers).headers["X-Request-ID"]


def test_the_id_of_the_client_is_answered_and_stored(
    client: FlaskClient, database: Database
) -> None:
    assert ask(client, "from-the-client") == "from-the-client"
    assert PredictionStorage(database).of_task(1)[0].request_id == "from-the-client"


def test_whoever_asks_last_gives_the_id(client: FlaskClient, database: Database) -> None:
    ask(client, "first")
    second = ask(client, None)
    assert PredictionStorage(database).of_task(1)[0].request_id == second != "first"


def test_an_id_that_could_forge_a_line_is_replaced(client: FlaskClient) -> None:
    assert ask(client, "<b>x</b>") != "<b>x</b>"


@pytest.mark.parametrize("address", ["/health", "/nowhere", "/jobs/1"])
def test_every_answer_has_an_id(client: FlaskClient, address: str) -> None:
    assert client.get(address).headers["X-Request-ID"]


def test_each_request_to_predict_is_logged_once(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    predict(client, task(1))
    client.get("/health")
    lines = [each.getMessage() for each in caplog.records if each.name.endswith("request_ids")]
    assert len(lines) == 1
    assert lines[0].startswith("POST /predict: 200 after ")
