import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_studio_fake import CONFIG, UID
from learning_data import learn
from redis import Redis
from rq import Queue
from test_labelstudio_shapes import json_values

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.queue import make_opened_queue, make_queue
from backend.suggestions.storage import PredictionStorage
from backend.verdicts.storage import EventStorage
from backend.web.app import create_app
from model.keypoint import Box, Detection, Keypoint

SAMPLES = Path(__file__).parent.parent.parent / "shared/label-studio/samples"
DETECTION = Detection("bus", 0.75, (Keypoint(10, 20, 0.875, "bus"),), 100, 100, Box(0, 0, 100, 100))


def task(number: int) -> dict[str, Any]:
    return {"id": number, "data": {"image": f"/data/upload/3/{number}.png"}}


def predict(client: FlaskClient, *tasks: object, **more: Any) -> Any:
    body = {"tasks": list(tasks), "project": UID, "label_config": CONFIG, **more}
    answer = client.post("/predict", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json


def finish(database: Database, number: int) -> None:
    PredictionStorage(database).finish(PredictionStorage(database).of_task(number)[0].id, DETECTION)


def sample(name: str) -> Any:
    path = SAMPLES / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there: Label Studio's own requests cannot be tried")
    return json.loads(path.read_text())["body"]


def test_health_says_up_and_which_model(client: FlaskClient, version: str) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json == {
        "status": "UP",
        "model_class": "KeypointDetector",
        "model_version": version,
    }
    assert version.startswith("squeezenet1_1-")


def test_health_needs_neither_database_nor_redis(unread_weights: Path, tmp_path: Path) -> None:
    nowhere = Database(f"sqlite:///{tmp_path}/none.sqlite3")
    queue = make_queue(Redis(port=1))
    app = create_app(Settings(model_weights=str(unread_weights)), nowhere, queue)
    assert app.test_client().get("/health").status_code == 200
    nowhere.close()


def test_setup_tells_the_version_and_keeps_where_the_project_is(
    client: FlaskClient, database: Database, version: str
) -> None:
    body = {
        "project": UID,
        "schema": CONFIG,
        "hostname": "http://127.0.0.1:8080",
        "access_token": "secret",
        "extra_params": None,
    }
    assert client.post("/setup", json=body).json == {"model_version": version}
    found = ProjectStorage(database).project(UID)
    assert found is not None
    assert (found.hostname, found.access_token) == ("http://127.0.0.1:8080", "secret")
    assert found.label_config == CONFIG
    assert client.get("/setup").json == {"model_version": version}


def test_setup_reports_what_a_project_has_learnt_and_no_other(
    client: FlaskClient, database: Database, version: str
) -> None:
    other = UID.replace("3.", "4.")
    for uid in (UID, other):
        client.post("/setup", json={"project": uid, "schema": CONFIG})
    learn(database, 1, 2, 3, uid=UID, base=version)
    asked = client.post("/setup", json={"project": UID, "schema": CONFIG})
    learnt = asked.json["model_version"]  # type: ignore[index]
    assert learnt.startswith(f"{version}+3-")
    asked = client.post("/setup", json={"project": other, "schema": CONFIG})
    assert asked.json == {"model_version": version}
    assert client.get("/versions").json == {"versions": [version, learnt]}
    task = {"id": 1, "data": {"image": "/a.png"}}
    client.post("/predict", json={"project": UID, "label_config": CONFIG, "tasks": [task]})
    [row] = PredictionStorage(database).of_task(1)
    assert row.model_version == learnt


def test_setup_says_how_a_project_with_names_of_landmarks_begins(
    database: Database, queue: Queue, unread_weights: Path
) -> None:
    app = create_app(Settings(model_weights=str(unread_weights)), database, queue)
    answer = app.test_client().post("/setup", json={"project": UID, "schema": CONFIG})
    assert "correct three images" in answer.json["advice"]  # type: ignore[index]


def test_setup_says_which_further_image_gets_no_suggestions(client: FlaskClient) -> None:
    pages = '<Image name="pages" valueList="$pages"/>'
    points = '<KeyPointLabels name="more" toName="pages"><Label value="nose"/></KeyPointLabels>'
    config = CONFIG.replace("</View>", f"{pages}{points}</View>")
    answer = client.post("/setup", json={"project": UID, "schema": config}).json
    assert answer is not None and "error" not in answer
    assert "the image 'pages' gets no suggestions: expected one picture" in answer["advice"]


def test_setup_says_which_keypoints_label_studios_own_exports_leave_out(
    database: Database, queue: Queue, unread_weights: Path
) -> None:
    app = create_app(Settings(model_weights=str(unread_weights)), database, queue)
    boxes = (
        '<RectangleLabels name="b" toName="image"><Label value="bird"/></RectangleLabels></View>'
    )
    body = {"project": UID, "schema": CONFIG.replace("</View>", boxes)}
    advice = app.test_client().post("/setup", json=body).json["advice"]  # type: ignore[index]
    assert "correct three images" in advice  # beside what else there is to say
    assert "model_index" in advice


def test_setup_without_a_host_leaves_what_is_known(client: FlaskClient, database: Database) -> None:
    ProjectStorage(database).save_connection(
        UID, hostname="http://a", access_token="t", label_config=CONFIG
    )
    assert client.post("/setup", json={"project": UID, "schema": CONFIG}).status_code == 200
    found = ProjectStorage(database).project(UID)
    assert found is not None
    assert (found.hostname, found.access_token) == ("http://a", "t")


def test_setup_says_what_a_configuration_lacks(
    client: FlaskClient, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"project": UID, "schema": '<View><Image name="image" value="$image"/></View>'}
    answer = client.post("/setup", json=body)
    assert answer.status_code == 200
    assert answer.json["model_version"] == version  # type: ignore[index]
    assert "<KeyPointLabels" in answer.json["error"]  # type: ignore[index]
    assert f"Project {UID}" in caplog.text


def setup(client: FlaskClient, uid: str = UID, **more: Any) -> Any:
    body = {"project": uid, "schema": CONFIG, "hostname": "http://127.0.0.1:8080"}
    return client.post("/setup", json=body | more)


def settings_of(database: Database, uid: str = UID) -> dict[str, Any]:
    found = ProjectStorage(database).project(uid)
    assert found is not None
    return found.settings.as_json()


@pytest.mark.parametrize("extra", ['{"threshold": 0.4}', {"threshold": 0.4}])
def test_setup_stores_the_extra_params_of_each_project(
    client: FlaskClient, database: Database, version: str, extra: Any
) -> None:
    assert setup(client, extra_params=extra).json == {"model_version": version}
    assert setup(client, "4.1", extra_params='{"max_keypoints": 3}').status_code == 200
    assert settings_of(database) == {"threshold": 0.4}
    assert settings_of(database, "4.1") == {"max_keypoints": 3}


def test_setup_keeps_the_settings_unless_it_says_that_there_are_none(
    client: FlaskClient, database: Database
) -> None:
    """Label Studio sends what it has stored each time, and null or "" where there is nothing."""
    setup(client, extra_params='{"threshold": 0.4}')
    setup(client)
    assert settings_of(database) == {"threshold": 0.4}
    setup(client, extra_params=None)
    assert settings_of(database) == {}
    setup(client, extra_params='{"threshold": 0.4}')
    setup(client, extra_params="")
    assert settings_of(database) == {}


def test_setup_refuses_extra_params_with_the_reason_that_label_studio_shows(
    client: FlaskClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    setup(client, extra_params='{"threshold": 0.4}')
    answer = setup(client, extra_params='{"treshold": 0.5}', access_token="new")
    reason = "Extra params: unknown key 'treshold' (did you mean threshold?): the keys are"
    assert answer.status_code == 400
    assert answer.status.startswith(f"400 {reason}")  # which alone Label Studio shows
    assert answer.json["error"].startswith(reason)
    assert reason in caplog.text
    assert settings_of(database) == {"threshold": 0.4}
    known = ProjectStorage(database).project(UID)
    assert known is not None
    assert known.access_token == "new"


def test_the_reason_of_a_refusal_is_one_line_of_ascii(client: FlaskClient) -> None:
    config = CONFIG.replace('name="kp"', 'name="kp&#13;&#10;X: näse"')
    answer = setup(client, schema=config, extra_params='{"thresholds": {"tail": 0.5}}')
    assert answer.status.startswith("400 Extra params: expected thresholds to name labels of kp")
    assert "kp??X: n?se" in answer.status
    assert answer.status.isascii() and answer.status.isprintable()


def test_a_projects_threshold_holds_for_its_answers_alone(
    client: FlaskClient, database: Database
) -> None:
    setup(client, extra_params='{"threshold": 0.9}')
    predict(client, task(1)), predict(client, task(2), project="4.1")
    finish(database, 1), finish(database, 2)
    [few] = predict(client, task(1))["results"]
    [usual] = predict(client, task(2), project="4.1")["results"]
    assert [each["type"] for each in few["result"]] == []
    assert [each["type"] for each in usual["result"]] == ["keypointlabels"]


def test_versions_lists_the_one(client: FlaskClient, version: str) -> None:
    assert client.get("/versions").json == {"versions": [version]}


def test_predict_answers_each_task_in_its_place(
    client: FlaskClient, database: Database, version: str
) -> None:
    assert predict(client, task(1), task(2)) == {"results": [[], []]}
    finish(database, 2)
    first, second = predict(client, task(1), task(2))["results"]
    assert first == []
    assert second["model_version"] == version
    assert second["score"] == 0.75
    [region] = second["result"]
    assert region["value"] == {"x": 10.5, "y": 20.5, "width": 0.6, "keypointlabels": ["bus"]}


def test_predict_works_for_a_project_that_never_called_setup(
    client: FlaskClient, queue: Queue
) -> None:
    assert predict(client, task(1), project="99.1")["results"] == [[]]
    assert make_opened_queue(queue.connection).count == 1


def test_predict_takes_the_configuration_of_setup_where_it_brings_none(
    client: FlaskClient,
) -> None:
    client.post("/setup", json={"project": UID, "schema": CONFIG})
    answer = client.post("/predict", json={"tasks": [task(1)], "project": UID})
    assert answer.json == {"results": [[]]}


def test_predict_without_any_configuration_is_refused(client: FlaskClient) -> None:
    answer = client.post("/predict", json={"tasks": [task(1)], "project": UID})
    assert answer.status_code == 400
    assert "'label_config'" in answer.json["error"]  # type: ignore[index]


def test_predict_for_a_configuration_without_keypoints_queues_nothing(
    client: FlaskClient, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    answer = predict(client, task(1), task(2), label_config="<View/>")
    assert answer["results"] == [[], []]
    assert "control for keypoints" in answer["error"]
    assert queue.count == 0
    assert f"Project {UID}" in caplog.text


def test_an_annotator_who_draws_gets_at_least_what_was_placed(
    client: FlaskClient, database: Database, version: str
) -> None:
    def ask(*placed: object) -> Any:
        context = {"params": {"context": {"result": list(placed)}}}
        return predict(client, task(1), **context)["results"]

    assert ask() == [{"result": [], "score": 0.0, "model_version": version}]
    value = {"x": 10, "y": 10, "width": 1, "keypointlabels": ["bus"]}
    placed = {"id": "a", "type": "keypointlabels", "to_name": "image", "value": value}
    assert ask(placed) == [{"result": [placed], "score": 0.0, "model_version": version}]
    assert DeliveryStorage(database).deliveries_by_way() == {}


@pytest.mark.parametrize("name", ["predict", "predict_interactive"])
def test_label_studios_own_requests_are_answered(client: FlaskClient, name: str) -> None:
    body = sample(name)
    answer = client.post("/predict", json=body)
    assert answer.status_code == 200
    assert len(answer.json["results"]) == len(body["tasks"])  # type: ignore[index]
    assert "error" not in answer.json  # type: ignore[operator]


def test_label_studios_own_setup_is_answered(client: FlaskClient, version: str) -> None:
    assert client.post("/setup", json=sample("setup")).json == {"model_version": version}


@pytest.mark.parametrize(
    ("address", "body", "said"),
    [
        ("/predict", {}, "'tasks'"),
        ("/predict", {"tasks": {}, "project": UID, "label_config": CONFIG}, "an object"),
        ("/predict", {"tasks": [], "label_config": CONFIG}, "'project'"),
        ("/predict", {"tasks": [], "project": UID, "label_config": 5}, "'label_config'"),
        ("/setup", {"schema": CONFIG}, "'project'"),
        ("/setup", {"project": UID, "schema": []}, "'schema'"),
        ("/setup", {"project": UID, "schema": "", "hostname": "nowhere"}, "'hostname'"),
        ("/webhook", {}, "'action'"),
        ("/webhook", {"action": 5}, "'action'"),
    ],
)
def test_a_wrong_body_is_refused_with_the_reason(
    client: FlaskClient, address: str, body: object, said: str
) -> None:
    answer = client.post(address, json=body)
    assert answer.status_code == 400
    assert list(answer.json) == ["error"]  # type: ignore[arg-type]
    assert answer.json["error"].startswith("expected")  # type: ignore[index]
    assert said in answer.json["error"]  # type: ignore[index]


@pytest.mark.parametrize("address", ["/predict", "/setup", "/webhook"])
@pytest.mark.parametrize("raw", [b"", b"{", b"not json", b"[]", b"\x00\xff"])
def test_a_body_that_is_no_json_is_refused(client: FlaskClient, address: str, raw: bytes) -> None:
    answer = client.post(address, data=raw, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["error"].startswith("expected")  # type: ignore[index]


# Events

EVENTS = sorted(path.stem for path in SAMPLES.glob("webhook_*.json")) or ["webhook_none"]


@pytest.mark.parametrize("name", EVENTS)
def test_label_studios_own_events_are_kept_without_the_token(
    client: FlaskClient, database: Database, name: str
) -> None:
    body = sample(name)
    assert client.post("/webhook", json=body).status_code == 200
    [event] = EventStorage(database).events()
    assert event.action == body["action"]
    assert event.project_id == body["project"]["id"]
    token = body["project"].pop("token")
    assert event.body == body
    assert token not in json.dumps(event.body)


def test_an_event_of_an_unknown_kind_is_kept(client: FlaskClient, database: Database) -> None:
    for action in ("START_TRAINING", "SOMETHING_NEW"):
        assert client.post("/webhook", json={"action": action}).status_code == 200
    assert [event.action for event in EventStorage(database).events()] == [
        "START_TRAINING",
        "SOMETHING_NEW",
    ]


@settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.dictionaries(
        st.sampled_from(["action", "project", "annotation", "tasks"]),
        json_values | st.dictionaries(st.sampled_from(["id", "created_at", "x"]), json_values),
    )
)
def test_an_event_of_any_shape_is_stored_as_it_came_or_refused_with_the_reason(
    client: FlaskClient, database: Database, body: dict[str, Any]
) -> None:
    before = EventStorage(database).events()
    answer = client.post("/webhook", data=json.dumps(body))
    stored = EventStorage(database).events(after=before[-1].id if before else 0)
    action = body.get("action")
    if isinstance(action, str) and 0 < len(action) <= 100 and action.isprintable():
        assert answer.status_code == 200
        # NaN and infinities, which are not JSON, are stored as text.
        assert [each.body for each in stored] == [json.loads(json.dumps(body), parse_constant=str)]
    else:
        assert (answer.status_code, stored) == (400, [])
        assert "'action'" in answer.json["error"]  # type: ignore[index]


def test_tokens_are_not_logged(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        body = {"project": UID, "schema": "<", "hostname": "http://a", "access_token": "secret-1"}
        client.post("/setup", json=body)
        client.post("/webhook", json={"action": "X", "project": {"id": 1, "token": "secret-2"}})
        client.post("/webhook", json={"action": 5, "project": {"id": 1, "token": "secret-3"}})
    assert "secret" not in caplog.text


@pytest.fixture
def on_postgres(postgres_url: str, queue: Queue, unread_weights: Path) -> Iterator[FlaskClient]:
    database = Database(postgres_url)
    database.migrate()
    chosen = Settings(model_weights=str(unread_weights), predict_wait_one=0, predict_wait_batch=0)
    yield create_app(chosen, database, queue).test_client()
    database.close()


def test_all_of_it_works_on_postgresql(on_postgres: FlaskClient) -> None:
    odd = {"id": 2, "data": {"image": "/a\0\ud800.png", "box": {"x": 1e300, "y": "\0"}}}
    assert len(predict(on_postgres, task(1), odd)["results"]) == 2
    body = {"action": "X", "text": "\0 \ud800"}
    assert on_postgres.post("/webhook", json=body).status_code == 200
    assert on_postgres.get("/jobs/2").json["status"] == "failed"  # type: ignore[index]
    assert 'keypoint_predictions{status="queued"} 1.0\n' in on_postgres.get("/metrics").text
