"""Whole answers have a time limit; each pause within those below is short."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import wait_until
from loopback_server import Answer, LoopbackServer, Request, as_json, loopback_server
from test_labelstudio_client import LEGACY, PERSONAL, PREDICTION
from test_labelstudio_images import certificate as certificate

from backend.hosts import cvat_client
from backend.hosts.cvat_client import Cvat, CvatError
from backend.labelstudio import client
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.time_limits import LimitedSession, TimeLimit

LIMIT = 0.3  # s
BEGUN = b"HTTP/1.1 200 OK\r\n"
PARTS = {
    "status line": b"HTTP/1.1 ",
    "header": BEGUN + b"X: ",
    "body": BEGUN + b"Content-Length: 100000\r\n\r\n",
    "body without a length": BEGUN + b"\r\n",
    "chunk": BEGUN + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n",
}


def trickle(handler: BaseHTTPRequestHandler, start: bytes = PARTS["body"]) -> None:
    """Begin an answer, and go on with a byte now and then until the other side hangs up."""
    handler.close_connection = True
    handler.wfile.write(start)
    for _ in range(3000):  # 60 s, so that a test without a limit ends
        handler.wfile.write(b"1")
        time.sleep(0.02)


@contextmanager
def trickling(start: bytes = PARTS["body"]) -> Iterator[LoopbackServer]:
    with loopback_server(lambda request, handler: trickle(handler, start)) as served:
        yield served


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WHOLE_TIMEOUT", LIMIT)
    monkeypatch.setattr(client, "WRITE_TIMEOUT", LIMIT)


def expect_given_up(call: Callable[[], Any]) -> None:
    with pytest.raises(LabelStudioError, match=r"too long \(no whole answer within 0\.3 s\)") as it:
        call()
    assert it.value.retryable


REQUESTS: dict[str, Callable[[LabelStudio], Any]] = {
    "project": lambda studio: studio.project(3),
    "projects": lambda studio: list(studio.projects()),
    "listing": lambda studio: list(studio.task_pages(3)),
    "unannotated": lambda studio: studio.first_without_annotation(3, 10),
    "task": lambda studio: studio.task(3, 1),
    "tasks": lambda studio: studio.tasks_by_id(3, [1, 2]),
    "task data": lambda studio: studio.change_task_data(1, {}),
    "predictions": lambda studio: studio.predictions(1),
    "prediction": lambda studio: studio.create_prediction(1, PREDICTION),
    "change": lambda studio: studio.change_prediction(1, PREDICTION),
    "webhooks": lambda studio: studio.get("/api/webhooks/", project=3),
    "new webhook": lambda studio: studio.post("/api/webhooks/", {}),
    "changed webhook": lambda studio: studio.send("PATCH", "/api/webhooks/1/", {}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_kind_of_request_ends_although_its_answer_does_not(name: str) -> None:
    with trickling() as served:
        expect_given_up(lambda: REQUESTS[name](LabelStudio(served.url, LEGACY)))


@pytest.mark.parametrize("part", PARTS)
def test_an_answer_may_trickle_in_any_of_its_parts(part: str) -> None:
    """One without a length looks whole when it is cut."""
    with trickling(PARTS[part]) as served:
        expect_given_up(lambda: LabelStudio(served.url, LEGACY).get("/api/projects/"))


def test_the_exchange_of_a_token_ends_as_well() -> None:
    with trickling() as served:
        expect_given_up(LabelStudio(served.url, PERSONAL).authorization)


def test_a_connection_that_was_kept_open_is_cut_too_and_the_next_request_gets_another() -> None:
    bodies = iter([b"[1]", b"", b"[3]"])

    def handle(request: Request, handler: BaseHTTPRequestHandler) -> Answer | None:
        body = next(bodies)
        if body:
            return Answer(body=body)
        return trickle(handler)

    with loopback_server(handle, keeps_open=True) as served:
        studio = LabelStudio(served.url, LEGACY)
        assert studio.get("/1") == [1]
        expect_given_up(lambda: studio.get("/2"))
        assert studio.get("/3") == [3]


def test_an_encrypted_connection_is_cut_too(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    answers = iter([True, False])

    def handle(request: Request, handler: BaseHTTPRequestHandler) -> Answer | None:
        return Answer(body=b"[1]") if next(answers) else trickle(handler)

    wrap: Callable[[Any], Any] = lambda it: context.wrap_socket(it, server_side=True)  # noqa: E731
    with loopback_server(handle, wrap, keeps_open=True) as served:
        studio = LabelStudio(f"https://localhost:{served.port}", LEGACY)
        assert studio.get("/1") == [1]
        expect_given_up(lambda: studio.get("/2"))


def test_an_answer_through_a_proxy_is_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with trickling() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        expect_given_up(LabelStudio("http://label-studio.example", LEGACY).projects().__next__)
        assert proxy.requests[0].path.startswith("http://label-studio.example/api/projects/")


def test_requests_of_other_threads_go_on_while_one_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "WRITE_TIMEOUT", 60.0)
    is_cut = threading.Event()

    def handle(request: Request, handler: BaseHTTPRequestHandler) -> Answer | None:
        if request.method == "GET":
            return trickle(handler)
        is_cut.wait(30)
        return as_json({"id": 17})

    with loopback_server(handle, keeps_open=True) as served:
        studio = LabelStudio(served.url, LEGACY)
        found: list[int] = []
        posting = threading.Thread(
            target=lambda: found.append(studio.create_prediction(1, PREDICTION))
        )
        posting.start()
        expect_given_up(lambda: studio.get("/api/projects/"))
        is_cut.set()
        posting.join()
        assert found == [17]


def test_no_timer_outlives_its_request() -> None:
    with loopback_server(lambda request, handler: Answer(body=b"[]")) as served:
        studio = LabelStudio(served.url, LEGACY)
        for _ in range(5):
            studio.get("/api/projects/")
    wait_until(lambda: not any(isinstance(each, threading.Timer) for each in threading.enumerate()))


def test_a_connection_that_stands_too_late_is_closed() -> None:
    with loopback_server(lambda request, handler: Answer()) as served, TimeLimit(0.01) as limit:
        wait_until(lambda: limit.timed_out)
        with pytest.raises(TimeoutError):
            limit.check()
        session = LimitedSession()
        with pytest.raises(requests.Timeout, match="no whole answer within 0 s"):
            session.request_within(0.0, "GET", served.url)
        session.close()


def test_answers_of_cvat_have_a_limit_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cvat_client, "WHOLE_TIMEOUT", LIMIT)
    with trickling() as served, pytest.raises(CvatError, match=r"no whole answer within 0\.3 s"):
        Cvat(served.url, "token").version()
