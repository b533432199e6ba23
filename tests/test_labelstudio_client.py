import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from loopback_server import Answer, LoopbackServer, Request, as_json, loopback_server
from test_labelstudio_images import certificate as certificate
from test_labelstudio_images import encrypted as encrypted

from backend.labelstudio import client
from backend.labelstudio.addresses import Location
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.schemas import PredictionJson

LEGACY = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = "header.swordfish.signature"
TASK = "/api/tasks/1/"
PROJECT = {"id": 3, "created_at": "2026-11-22T12:00:00Z", "label_config": "<View/>"}
PREDICTION: PredictionJson = {"result": [], "score": 0.5, "model_version": "v"}


def _place(task: object) -> int:
    """Return the number of a task, also of one that is malformed."""
    number = task.get("id") if isinstance(task, dict) else 101
    return int(number)


class Studio:
    """Label Studio's tokens and a few of its answers, in the form that 1.23.2 gives them."""

    def __init__(self) -> None:
        self.accepted = {f"Token {LEGACY}"}
        self.exchanges = 0
        self.tasks = [{"id": number, "data": {}} for number in range(1, 251)]
        self.meanwhile: Callable[[], object] = lambda: None  # called by every page of tasks

    def handle(self, request: Request, _: BaseHTTPRequestHandler) -> Answer:
        if request.path == "/api/token/refresh/":
            return self.exchange(request.json["refresh"])
        if request.headers.get("authorization") not in self.accepted:
            return as_json({"status_code": 401, "detail": "Invalid token."}, 401)
        path, _, query = request.path.partition("?")
        if (request.method, path) == ("POST", "/api/predictions/"):
            return as_json({**request.json, "id": 17}, 201)
        if path == "/api/tasks/":
            return self.page({name: values[0] for name, values in parse_qs(query).items()})
        return as_json({"path": request.path})

    def exchange(self, token: str) -> Answer:
        if token != PERSONAL:
            return as_json({"detail": "Token is invalid", "code": "token_not_valid"}, 401)
        self.exchanges += 1
        self.accepted = {f"Bearer access-{self.exchanges}"}
        return as_json({"access": f"access-{self.exchanges}"})

    def page(self, query: dict[str, str]) -> Answer:
        asked = json.loads(query["query"])
        [wanted] = asked["filters"]["items"]
        assert (wanted["filter"], wanted["operator"]) == ("filter:tasks:id", "greater")
        assert asked["ordering"] == ["tasks:id"]
        left = [each for each in self.tasks if _place(each) > wanted["value"]]
        self.meanwhile()
        return as_json({"tasks": left[: int(query["page_size"])], "total": len(left)})


@pytest.fixture
def studio() -> Studio:
    return Studio()


@contextmanager
def answering(answer: Answer) -> Iterator[LabelStudio]:
    with loopback_server(lambda request, handler: answer) as served:
        yield LabelStudio(served.url, LEGACY)


def refusal(call: Callable[[], object]) -> LabelStudioError:
    with pytest.raises(LabelStudioError) as caught:
        call()
    return caught.value


def test_a_legacy_token_is_sent_as_it_is(server: LoopbackServer):
    assert LabelStudio(server.url, LEGACY).get("/api/tasks/3/") == {"path": "/api/tasks/3/"}
    assert [request.path for request in server.requests] == ["/api/tasks/3/"]


def test_a_personal_access_token_is_exchanged_once(server: LoopbackServer, studio: Studio):
    client = LabelStudio(server.url, PERSONAL)
    for _ in range(3):
        assert client.get("/api/projects/3/") == {"path": "/api/projects/3/"}
    assert client.authorization() == {"Authorization": "Bearer access-1"}
    assert studio.exchanges == 1
    assert [request.headers.get("authorization") for request in server.requests] == [
        None,
        *["Bearer access-1"] * 3,
    ]


def test_an_access_token_is_renewed_before_it_is_5_minutes_old(
    server: LoopbackServer, studio: Studio, monkeypatch: pytest.MonkeyPatch
):
    assert client.ACCESS_TOKEN_LIFE < 300
    monkeypatch.setattr(client, "ACCESS_TOKEN_LIFE", 0)
    label_studio = LabelStudio(server.url, PERSONAL)
    label_studio.get(TASK)
    label_studio.get(TASK)
    assert studio.exchanges == 2


def test_an_access_token_that_is_no_longer_accepted_is_renewed(
    server: LoopbackServer, studio: Studio
):
    client = LabelStudio(server.url, PERSONAL)
    client.get(TASK)
    studio.accepted = set()
    assert client.get(TASK) == {"path": "/api/tasks/1/"}
    assert studio.exchanges == 2


def test_many_threads_exchange_a_token_once(server: LoopbackServer, studio: Studio):
    client = LabelStudio(server.url, PERSONAL)
    threads = [threading.Thread(target=client.get, args=(TASK,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert studio.exchanges == 1


def test_a_personal_access_token_that_was_revoked_is_said(server: LoopbackServer):
    error = refusal(lambda: LabelStudio(server.url, "another.personal.token").get(TASK))
    assert "LABEL_STUDIO_API_KEY" in str(error)
    assert (error.status, error.retryable) == (401, True)


def test_without_a_token_nothing_is_sent(server: LoopbackServer):
    client = LabelStudio(server.url, None)
    assert client.authorization() == {}
    assert refusal(lambda: client.get(TASK)).status == 401
    assert "authorization" not in server.requests[0].headers


def test_a_prediction_is_created_and_its_key_returned(server: LoopbackServer):
    assert LabelStudio(server.url, LEGACY).create_prediction(3, PREDICTION) == 17
    assert server.requests[0].json == {**PREDICTION, "task": 3}


def test_every_page_of_tasks_is_read(server: LoopbackServer, studio: Studio):
    client = LabelStudio(server.url, LEGACY)
    assert [task.id for task in client.tasks(9)] == list(range(1, 251))
    asked = [parse_qs(request.path.partition("?")[2]) for request in server.requests]
    assert len(asked) == 3
    for query in asked:
        assert (query["project"], query["page_size"]) == (["9"], ["100"])
        assert (query["fields"], query["resolve_uri"]) == (["all"], ["false"])
    for count in (0, 1, 100):
        del studio.tasks[count:]
        assert len(list(client.tasks(9))) == len(studio.tasks)


def test_tasks_that_are_created_and_deleted_meanwhile_hide_and_repeat_no_other(
    server: LoopbackServer, studio: Studio
):
    numbers = iter(range(251, 10_000))

    def meanwhile() -> None:
        del studio.tasks[:10]
        if len(server.requests) < 6:
            studio.tasks += [{"id": next(numbers), "data": {}} for _ in range(70)]

    studio.meanwhile = meanwhile
    found = [task.id for task in LabelStudio(server.url, LEGACY).tasks(9)]
    assert found == list(range(1, next(numbers)))


def test_a_listing_goes_on_behind_the_last_known_task(server: LoopbackServer, studio: Studio):
    pages = list(LabelStudio(server.url, LEGACY).task_pages(9, after=120))
    assert [task.id for page in pages for task in page.tasks] == list(range(121, 251))
    assert [(page.last_id, page.is_last) for page in pages] == [(220, False), (250, True)]
    [rest] = LabelStudio(server.url, LEGACY).task_pages(9, after=250)
    assert (rest.tasks, rest.last_id, rest.is_last) == ([], 250, True)


def test_a_server_that_does_not_know_the_filter_does_not_lead_round_in_circles():
    tasks = [{"id": number} for number in range(1, 101)]
    with answering(as_json({"tasks": tasks, "total": 250})) as client:
        error = refusal(lambda: list(client.tasks(9)))
    assert "expected tasks with ids above 100, got 1" in str(error)


def test_tasks_that_may_not_be_read_are_an_error(server: LoopbackServer):
    error = refusal(lambda: list(LabelStudio(server.url, "another").tasks(3)))
    assert error.status == 401


def test_every_page_of_projects_is_read():
    def pages(request: Request, _: BaseHTTPRequestHandler) -> Answer:
        number = int(request.path.partition("page=")[2].partition("&")[0])
        return as_json(
            {"results": [{**PROJECT, "id": number}], "next": "more" if number < 3 else None}
        )

    with loopback_server(pages) as served:
        found = list(LabelStudio(served.url, LEGACY).projects())
    assert [project.id for project in found] == [1, 2, 3]


def test_a_legacy_token_of_an_organization_without_them_is_explained():
    said = "Authentication token no longer valid: legacy token authentication has been disabled"
    with answering(as_json({"detail": f"{said} for this organization"}, 401)) as client:
        error = refusal(lambda: client.get(TASK))
    assert "switched legacy tokens off" in str(error)
    assert "LABEL_STUDIO_API_KEY" in str(error)
    assert error.retryable


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (403, True), (404, False), (429, True), (500, True), (502, True), (503, True)],
)
def test_which_answers_may_be_better_later(status: int, retryable: bool):
    with answering(as_json({"detail": "Because."}, status)) as client:
        error = refusal(lambda: client.predictions(1))
    assert (error.status, error.retryable) == (status, retryable)
    assert f"GET /api/predictions/ with {status}: Because" in str(error)


def test_what_label_studio_objects_to_is_repeated():
    said = {"detail": "Validation error", "validation_errors": {"task": ["Invalid pk"]}}
    with answering(as_json(said, 400)) as client:
        assert "{'task': ['Invalid pk']}" in str(
            refusal(lambda: client.create_prediction(1, PREDICTION))
        )


def test_an_objection_that_is_no_object_is_left_out():
    with answering(as_json(["busy"], 503)) as client:
        error = refusal(lambda: client.get(TASK))
    assert str(error).endswith("/api/tasks/1/ with 503: Service Unavailable")


def test_a_certificate_that_nobody_vouches_for_is_explained(encrypted: LoopbackServer):
    url = f"https://localhost:{encrypted.port}"
    error = refusal(lambda: LabelStudio(url, LEGACY).get(TASK))
    assert f"expected a certificate of {url} that can be trusted" in str(error)
    assert "set REQUESTS_CA_BUNDLE" in str(error)


def test_a_page_instead_of_json_is_another_server():
    with answering(Answer(body=b"<html>", headers={"Content-Type": "text/html"})) as client:
        error = refusal(lambda: client.get(TASK))
    assert "expected JSON" in str(error)
    assert "text/html" in str(error)
    assert error.retryable
    with answering(Answer(502, b"<html>Bad gateway</html>")) as client:
        assert refusal(lambda: client.get(TASK)).retryable


def test_a_redirect_is_not_followed_but_explained():
    elsewhere = {"Location": "https://labels.example/api/tasks/1/"}
    with answering(Answer(301, headers=elsewhere)) as client:
        error = refusal(lambda: client.get(TASK))
    assert "set LABEL_STUDIO_URL" in str(error)
    assert "https://labels.example" in str(error)


def test_label_studio_may_be_there_later():
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    error = refusal(lambda: LabelStudio(f"http://127.0.0.1:{port}", LEGACY).get(TASK))
    assert "Connection refused" in str(error)
    assert (error.status, error.retryable) == (None, True)


def test_label_studio_that_says_nothing_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        error = refusal(lambda: LabelStudio(url, LEGACY, timeout=0.1).get(TASK))
    assert "timed out" in str(error)
    assert error.retryable


def test_half_an_answer_may_be_whole_another_time():
    with answering(Answer(body=b'{"id": 1', length=1000)) as client:
        assert refusal(lambda: client.get(TASK)).retryable


@pytest.mark.parametrize(
    "url", ["", "labels", "labels:8080", "ftp://labels", "http://[", "http://"]
)
def test_an_address_that_is_none_is_said(url: str):
    error = refusal(lambda: LabelStudio(url, LEGACY).get(TASK))
    assert "LABEL_STUDIO_URL" in str(error)
    assert not error.retryable


def test_no_token_comes_into_the_log(server: LoopbackServer, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    LabelStudio(server.url, LEGACY).get(TASK)
    LabelStudio(server.url, PERSONAL).get(TASK)
    text = str(refusal(lambda: LabelStudio(server.url, "another.swordfish.token").get(TASK)))
    for secret in (LEGACY, "swordfish", "access-1"):
        assert secret not in caplog.text + text


def test_a_password_in_netrc_does_not_replace_the_token(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login anna password swordfish\n")
    monkeypatch.setenv("NETRC", str(netrc))
    LabelStudio(server.url, LEGACY).get(TASK)
    assert server.requests[0].headers["authorization"] == f"Token {LEGACY}"


def test_no_session_cookie_is_kept():
    """With one, Label Studio would want a CSRF token for every prediction."""
    cookie = Answer(body=b"{}", headers={"Set-Cookie": "sessionid=1; Path=/"})
    with loopback_server(lambda request, handler: cookie) as served:
        client = LabelStudio(served.url, LEGACY)
        client.get(TASK)
        client.get(TASK)
        assert "cookie" not in served.requests[1].headers


def test_a_client_knows_where_an_address_is_reached_and_whether_it_is_its_own():
    client = LabelStudio("http://inside:8080/", None, known_as=["http://localhost:8080/"])
    assert client.location("http://localhost:8080/a.png") == Location(
        "http://inside:8080/a.png", own=True
    )
    assert client.location("http://elsewhere/a.png") == Location(
        "http://elsewhere/a.png", own=False
    )


def test_any_part_of_the_api_can_be_asked(server: LoopbackServer):
    found: Any = LabelStudio(server.url, LEGACY).get("/api/ml", project=3)
    assert found == {"path": "/api/ml?project=3"}


# Malformed answers


MALFORMED = [
    ([], "expected a JSON object, got a list"),
    ({}, "expected a whole number in 'id', got nothing"),
    ({**PROJECT, "created_at": "then"}, "expected a time such as .* in 'created_at', got 'then'"),
    ({**PROJECT, "label_config": 5}, "expected text in 'label_config', got 5"),
]


@pytest.mark.parametrize(("answer", "said"), MALFORMED)
def test_a_malformed_project_is_one_sentence(answer: object, said: str):
    with answering(as_json(answer)) as client:
        error = refusal(lambda: client.project(3))
    assert re.search(f"^{said} in the answer of {client.url} to GET /api/projects/3/: ", str(error))
    assert not error.retryable


def test_a_project_without_a_configuration_is_read():
    with answering(as_json({**PROJECT, "label_config": None})) as client:
        assert client.project(3).label_config == ""


@pytest.mark.parametrize("answer", [[], {}, {"tasks": {}, "total": 1}, {"tasks": [], "total": "1"}])
def test_a_malformed_page_of_tasks_is_one_sentence(answer: object):
    with answering(as_json(answer)) as client:
        error = refusal(lambda: list(client.tasks(9)))
    assert re.match(r"expected .* in the answer of .* to GET /api/tasks/: ", str(error))


def test_a_malformed_task_is_logged_and_leaves_the_others(
    server: LoopbackServer, studio: Studio, caplog: pytest.LogCaptureFixture
):
    studio.tasks[100:102] = [{"id": "101"}, None]  # type: ignore[list-item]
    found = [task.id for task in LabelStudio(server.url, LEGACY).tasks(9)]
    assert found == [number for number in range(1, 251) if number not in (101, 102)]
    assert "expected a whole number in 'id', got '101'" in caplog.text
    assert "expected a JSON object, got null" in caplog.text


def test_a_malformed_project_leaves_the_others(caplog: pytest.LogCaptureFixture):
    with answering(as_json({"results": [{"id": 1}, PROJECT]})) as client:
        assert [project.id for project in client.projects()] == [3]
    assert "in 'created_at', got nothing" in caplog.text


def test_a_malformed_prediction_leaves_the_others(caplog: pytest.LogCaptureFixture):
    rows = [{**PREDICTION, "id": "1"}, {**PREDICTION, "id": 2, "result": [5, {"id": "a"}]}]
    with answering(as_json(rows)) as client:
        [found] = client.predictions(1)
    assert (found.id, found.as_json()) == (2, {**PREDICTION, "result": [{"id": "a"}]})
    assert "expected a whole number in 'id', got '1'" in caplog.text


def test_predictions_that_are_no_list_are_one_sentence():
    with answering(as_json({"results": []})) as client:
        error = refusal(lambda: client.predictions(1))
    assert "expected a list, got an object in the answer" in str(error)


def test_a_created_prediction_without_a_key_is_one_sentence():
    with answering(as_json({"task": 1}, 201)) as client:
        error = refusal(lambda: client.create_prediction(1, PREDICTION))
    assert "expected a whole number in 'id', got nothing in the answer" in str(error)
    assert "to POST /api/predictions/" in str(error)


@pytest.mark.parametrize("answer", [{}, [], {"access": None}])
def test_an_exchange_without_an_access_token_is_one_sentence(answer: object):
    with loopback_server(lambda request, handler: as_json(answer)) as served:
        error = refusal(LabelStudio(served.url, PERSONAL).authorization)
    assert re.match(r"expected .* to POST /api/token/refresh/: ", str(error))
    assert "swordfish" not in str(error)


def test_a_task_is_chosen_in_the_list_of_its_project(server: LoopbackServer, studio: Studio):
    with answering(as_json({"tasks": [{"id": 7, "data": {"image": "a"}}], "total": 1})) as client:
        found = client.task(9, 7)
    assert found is not None
    assert (found.id, found.image_url("image")) == (7, "a")


@pytest.mark.parametrize("answer", [as_json({"tasks": [], "total": 0}), as_json({}, 404)])
def test_a_deleted_task_is_none(answer: Answer):
    with answering(answer) as client:
        assert client.task(9, 7) is None


def test_a_malformed_task_is_not_taken_for_a_deleted_one():
    with answering(as_json({"tasks": [{"data": {}}], "total": 1})) as client:
        assert "expected a whole number in 'id'" in str(refusal(lambda: client.task(9, 7)))
