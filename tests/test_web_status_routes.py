"""What the web process reports of predictions, and its figures for Prometheus."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from image_pairs import made
from label_studio_fake import UID
from learning_data import lesson, teach
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from test_training_registry import OUTCOME, new_model
from test_web_label_studio_routes import finish, predict, setup, task
from verdict_data import detection

from backend.database.connection import Database
from backend.learning.storage import ExampleStorage
from backend.settings import Settings
from backend.suggestions.queue import make_queue
from backend.suggestions.storage import PredictionStorage
from backend.training.records import TrainingOptions
from backend.training.storage import ModelStorage, TrainingStorage
from backend.web.app import create_app


def test_a_job_tells_its_state_and_its_times(client: FlaskClient, database: Database) -> None:
    predict(client, task(1))
    queued = client.get("/jobs/1").json
    assert queued is not None
    assert (queued["status"], queued["reason"], queued["finished_at"]) == ("queued", None, None)
    PredictionStorage(database).start_attempt(PredictionStorage(database).of_task(1)[0].id)
    finish(database, 1)
    predict(client, task(1))
    ready = client.get("/jobs/1").json
    assert ready is not None
    assert (ready["status"], ready["keypoints"], ready["attempts"]) == ("ready", 1, 1)
    assert ready["delivery"]["way"] == "reply"
    assert ready["asked_at"] and ready["started_at"] <= ready["finished_at"]
    assert ready["earlier"] == []


def test_a_job_tells_of_each_of_several_images(client: FlaskClient, database: Database) -> None:
    made(database, 1, [detection((10, 10), (20, 20)), None])
    found = client.get("/jobs/1").json
    assert found is not None
    assert [(each["name"], each["keypoints"], each["reason"]) for each in found["images"]] == [
        ("left", 2, None),
        ("right", None, "it is missing"),
    ]
    predict(client, task(2))
    assert client.get("/jobs/2").json["images"] == []  # type: ignore[index]


def test_a_failed_job_tells_its_reason(client: FlaskClient, database: Database) -> None:
    predict(client, task(1))
    PredictionStorage(database).fail(
        PredictionStorage(database).of_task(1)[0].id, "expected an image, got 0 bytes"
    )
    found = client.get("/jobs/1").json
    assert found is not None
    assert (found["status"], found["reason"]) == ("failed", "expected an image, got 0 bytes")


def test_a_task_of_two_projects_tells_of_both(client: FlaskClient) -> None:
    predict(client, task(1), project="1.1")
    predict(client, task(1), project="2.2")
    found = client.get("/jobs/1").json
    assert found is not None
    assert found["project"] == "2.2"
    assert [each["project"] for each in found["earlier"]] == ["1.1"]
    assert client.get("/jobs/1?project=1.1").json["project"] == "1.1"  # type: ignore[index]


@pytest.mark.parametrize("address", ["/jobs/1", "/jobs/99999999999999999999", "/jobs/1?project=x"])
def test_a_task_without_a_requested_prediction_is_not_found(
    client: FlaskClient, address: str
) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert "expected a task" in answer.json["error"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        ("https://user:secret@host/a.png?signature=secret#x", "https://host/a.png"),
        ("data:image/png;base64,c2VjcmV0", "data:image/png;base64"),
        ("/data/local-files/?d=set/a.png", "/data/local-files/?d=set/a.png"),
        ("http://[secret", ""),
    ],
)
def test_a_job_does_not_tell_the_secrets_in_an_address(
    client: FlaskClient, image: str, shown: str
) -> None:
    predict(client, {"id": 1, "data": {"image": image}})
    answer = client.get("/jobs/1")
    assert answer.json["image"] == shown  # type: ignore[index]
    assert "secret" not in answer.text


def figures(client: FlaskClient) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return {
        "/".join([each.name, *each.labels.values()]): each.value
        for family in text_string_to_metric_families(answer.text)
        for each in family.samples
    }


def test_metrics_count_predictions_deliveries_and_events(
    client: FlaskClient, database: Database, version: str
) -> None:
    predict(client, task(1), task(2), task(3), task(4))
    finish(database, 1)
    predict(client, task(1))
    PredictionStorage(database).fail(PredictionStorage(database).of_task(2)[0].id, "not an image")
    client.post("/webhook", json={"action": "ANNOTATION_CREATED"})
    found = figures(client)
    assert found["keypoint_predictions/queued"] == 2
    assert found["keypoint_predictions/ready"] == 1
    assert found["keypoint_predictions/failed"] == 1
    assert found["keypoint_deliveries_total/reply"] == 1
    assert found["keypoint_deliveries_total/push"] == 0
    assert found["keypoint_events_total/ANNOTATION_CREATED"] == 1
    assert found["keypoint_queue_depth"] == 4
    assert found["keypoint_redis_up"] == 1
    assert found[f"keypoint_model_info/{version}"] == 1


def test_metrics_do_without_redis(database: Database, unread_weights: Path) -> None:
    queue = make_queue(Redis(port=1, socket_connect_timeout=1, retry=None))
    app = create_app(Settings(model_weights=str(unread_weights)), database, queue)
    found = figures(app.test_client())
    assert found["keypoint_redis_up"] == 0
    assert "keypoint_queue_depth" not in found


def test_the_status_tells_the_model_and_the_settings_of_each_project(
    client: FlaskClient, version: str
) -> None:
    setup(client, extra_params='{"threshold": 0.4, "thresholds": {"nose": 0.5}}')
    setup(client, "4.1")
    [first, second] = client.get("/").json["projects"]  # type: ignore[index]
    assert first == {
        "project": UID,
        "model_version": version,
        "has_own_model": False,
        "has_weights": True,
        "settings": {"threshold": 0.4, "thresholds": {"nose": 0.5}},
        "learning": {
            "project_uid": UID,
            "learnt": 0,
            "waiting": 0,
            "failed": 0,
            "reserve": 0,
            "failures": {},
            "in_use": 0,
            "costs": None,
            "tolerance": None,
            "version": version,
        },
        "progress": "Suggests points without names of landmarks. Names begin with 3 corrected "
        "images; 0 of 3 so far.",
        "advice": None,
    }
    assert (second["project"], second["settings"]) == ("4.1", {})
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "<h3>Project 4</h3>" in page
    assert "threshold: 0.4</code>" in page


def test_the_status_tells_what_was_learnt_and_what_failed(
    client: FlaskClient, database: Database
) -> None:
    setup(client)
    teach(database, 1, lesson(1))
    teach(database, 2, lesson(2))
    ExampleStorage(database, limit=10).fail(2, "<gone>")
    found = client.get("/").json["projects"][0]["learning"]  # type: ignore[index]
    assert (found["waiting"], found["failed"]) == (1, 1)
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "0 of 3 so far. 1 corrected image is being learnt." in page
    assert "1 corrected image cannot be learnt: &lt;gone&gt;" in page


def test_the_status_says_where_suggestions_begin_with_corrections(client: FlaskClient) -> None:
    labels = "".join(f'<Label value="{name}"/>' for name in ("wheel", "lamp"))
    config = (
        '<View><Image name="i" value="$image"/>'
        f'<KeyPointLabels name="k" toName="i">{labels}</KeyPointLabels></View>'
    )
    setup(client, schema=config, extra_params='{"suggest": "worthwhile"}')
    assert "correct three images" in client.get("/").json["projects"][0]["advice"]  # type: ignore[index]
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "Suggests no points yet: correct three images" in page


def test_the_page_says_how_to_connect_the_first_project(client: FlaskClient) -> None:
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "No project is connected" in page
    setup(client)
    assert "No project is connected" not in client.get("/", headers={"Accept": "text/html"}).text


def test_the_status_names_the_own_model_of_a_project(
    client: FlaskClient, database: Database, version: str
) -> None:
    setup(client)
    trainings = TrainingStorage(database)
    training, _ = trainings.request(UID, TrainingOptions())
    trainings.succeed(training.id, new_model(1), OUTCOME, use=True)
    found = client.get("/").json
    assert found is not None
    assert found["model_version"] == version
    assert found["projects"][0]["model_version"].startswith("small-")
    assert found["projects"][0]["has_own_model"]
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "with a model of its own" in page
    assert (found["has_weights"], found["projects"][0]["has_weights"]) == (True, False)
    assert "models back --project 3</code> activates the last model that has weights" in page
    assert "new workers cannot start" not in page


def test_the_page_says_when_the_weights_of_the_deployments_model_are_gone(
    client: FlaskClient, database: Database
) -> None:
    setup(client)
    trainings = TrainingStorage(database)
    training, _ = trainings.request(UID, TrainingOptions())
    trainings.succeed(training.id, new_model(1), OUTCOME, use=False)
    ModelStorage(database).activate(1, "command", None)
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "so new workers cannot start: <code>python -m backend models back</code>" in page
    assert "models back</code> activates the last model that has weights" in page
