"""Odd requests to every route, over real HTTP and on both databases: none is answered by 500."""

import itertools
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from conftest import wait_until
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_studio_fake import CONFIG, UID
from rq import Queue
from serving import PLAIN_ENVIRONMENT, ROOT
from test_web_odd_events import ODD, places, with_value
from web_server import served

from backend.database.connection import Database
from backend.database.prepare import prepare_database
from backend.local.label_studio import free_port
from backend.local.processes import end, spawn
from backend.settings import Settings
from backend.web.app import create_app
from backend.web.server import web_command

BODIES: dict[str, dict[str, Any]] = {
    "/setup": {
        "project": UID,
        "schema": CONFIG,
        "hostname": "http://127.0.0.1:8080",
        "access_token": "t",
        "extra_params": {"threshold": 0.5, "thresholds": {"nose": 0.2}, "max_keypoints": 5},
    },
    "/predict": {
        "project": UID,
        "label_config": CONFIG,
        "tasks": [
            {
                "id": 1,
                "data": {"image": "/data/upload/3/1.png", "box": {"x": 1, "y": 1}},
                "annotations": [{"id": 1, "result": [{"type": "rectangle", "value": {"x": 1}}]}],
                "drafts": [],
                "predictions": [{"id": 1, "model_version": "v", "result": []}],
            }
        ],
        "params": {"login": None, "context": None},
    },
    "/webhook": {
        "action": "START_TRAINING",
        "project": {"id": 3, "created_at": "2026-11-22T12:00:00Z", "label_config": CONFIG},
    },
}
PARAMETERS = (
    "project", "reason", "format", "what", "task", "annotator", "label", "since", "until",
    "model_version", "user", "from", "to", "verdict", "points", "x",
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["\0", "a\0b", "9" * 400, "-1", "NaN", "1e999", "0001-01-01", "csv", "json"]),
)


@pytest.fixture
def app(any_database: Database, queue: Queue, unread_weights: Path) -> Flask:
    settings = Settings(
        model_weights=str(unread_weights),
        predict_wait_one=0,
        predict_wait_batch=0,
        label_studio_url="http://127.0.0.1:8080",
    )
    return create_app(settings, any_database, queue)


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    with served(app) as address:
        yield address


def paths(app: Flask, method: str) -> list[str]:
    """The addresses of all routes, with a number for what is in angle brackets."""
    rules = [rule for rule in app.url_map.iter_rules() if method in (rule.methods or ())]
    return sorted({re.sub("<[^>]+>", "1", rule.rule) for rule in rules})


FUZZED = settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FUZZED
@given(st.data())
def test_whatever_stands_in_a_body_is_answered(url: str, app: Flask, data: st.DataObject) -> None:
    assert set(BODIES) <= set(paths(app, "POST"))
    with requests.Session() as session:
        for _ in range(8):
            path = data.draw(st.sampled_from(paths(app, "POST")))
            body = BODIES.get(path, {"project": UID, "reason": "x"})
            for _ in range(data.draw(st.integers(1, 2))):
                place = data.draw(st.sampled_from(list(places(body))))
                body = with_value(body, place, data.draw(ODD))
            answer = session.post(url + path, data=json.dumps(body), timeout=120)
            assert answer.status_code < 500, (path, body, answer.text)
            assert path not in BODIES or answer.status_code in (200, 400, 429)


@FUZZED
@given(st.data())
def test_whatever_stands_in_an_address_is_answered(
    url: str, app: Flask, data: st.DataObject
) -> None:
    with requests.Session() as session:
        for _ in range(8):
            known = st.sampled_from(paths(app, "GET"))
            path = data.draw(known | st.just("/jobs/") | TEXTS.map("/{}".format))
            if path == "/jobs/":
                path += quote(data.draw(TEXTS | st.integers().map(str)), safe="", errors="replace")
            pairs = data.draw(st.lists(st.tuples(st.sampled_from(PARAMETERS), TEXTS), max_size=3))
            place = quote(path, safe="/", errors="replace")
            query = "&".join(f"{name}={quote(text, errors='replace')}" for name, text in pairs)
            answer = session.get(f"{url}{place}?{query}", timeout=120)
            assert answer.status_code < 500 or path == "/ready", (path, pairs, answer.text)


def test_a_nul_in_an_address_is_answered(url: str, app: Flask) -> None:
    odd = ("%00", "3%00", "%ed%a0%80", "%ff", "9" * 400)
    with requests.Session() as session:
        for path, name, text in itertools.product(paths(app, "GET"), PARAMETERS, odd):
            answer = session.get(f"{url}{path}?{name}={text}", timeout=120)
            where = (path, name, text, answer.text)
            assert answer.status_code in (200, 400, 404) or path == "/ready", where


DEPTHS = (50, 96, 99, 100, 500, *range(940, 1010, 3), 5000, 100_000)


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_answered(url: str, opens: str, closes: str) -> None:
    keys = {"/webhook": "annotation", "/predict": "params", "/setup": "extra_params"}
    with requests.Session() as session:
        for depth, (path, key) in itertools.product(DEPTHS, keys.items()):
            deep = opens * depth + "0" + closes * depth
            body = f'{{"action": "X", "project": "{UID}", "tasks": [], "{key}": {deep}}}'
            answer = session.post(url + path, data=body, timeout=60)
            assert answer.status_code in (200, 400), (path, depth, answer.text)
            assert depth < 100 or answer.status_code == 400
            assert session.post(url + path, data=deep, timeout=60).status_code == 400


def raw(url: str, *parts: bytes) -> bytes:
    """Send bytes as they are, and return the first line of the answer; empty for none."""
    place = urlsplit(url)
    assert place.hostname and place.port
    try:
        with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
            connection.sendall(b"".join(parts))
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as answer:
                return answer.readline()
    except ConnectionError:
        return b""


CHUNKED = b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
ODD_FRAMES = [
    CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"fffffffffffffffff\r\nhello\r\n",
    CHUNKED + b"5\r\nhel",
    CHUNKED + b"\r\n\r\n",
    b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\nhello",
    b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\nhello",
    b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\nhello",
    b"POST %s HTTP/1.1\r\nHost: \xff\x00\r\nContent-Length: 2\r\n\r\n{}",
    b"POST %s HTTP/1.1\r\nHost: a:b:c\r\nContent-Length: 2\r\n\r\n{}",
    b"POST %s HTTP/1.1\r\nHost: [::1\r\nContent-Length: 2\r\n\r\n{}",
    b"POST %s HTTP/1.1\r\nHost: x\r\nOrigin: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}",
    b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: a;charset=\x80\r\nContent-Length: 2\r\n\r\n{}",
]


def test_a_body_that_does_not_come_as_announced_is_answered(url: str) -> None:
    for frame, path in itertools.product(ODD_FRAMES, (b"/webhook", b"/predict", b"/jobs")):
        assert b" 500 " not in raw(url, frame % path), frame


def test_gunicorn_answers_what_does_not_come_as_announced(
    redis_url: str, unread_weights: Path, tmp_path: Path
) -> None:
    """As `serve` starts it: its own parser reads the chunks."""
    variables = {"REDIS_URL": redis_url, "DATA_DIR": str(tmp_path)}
    weights = {"MODEL_WEIGHTS": str(unread_weights)}
    settings = Settings(data_dir=tmp_path, model_weights=str(unread_weights))
    prepare_database(settings)
    port = free_port()
    command = web_command(settings, bind=f"127.0.0.1:{port}")
    with (tmp_path / "web.log").open("wb") as output:
        process = spawn(
            command, env={**PLAIN_ENVIRONMENT, **variables, **weights}, output=output, cwd=ROOT
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: raw(url, b"GET /health HTTP/1.0\r\n\r\n"))
        for frame, path in itertools.product(ODD_FRAMES, (b"/webhook", b"/predict")):
            assert b" 500 " not in raw(url, frame % path), frame
        assert b" 200 " in raw(url, b"GET /health HTTP/1.0\r\n\r\n")
    finally:
        end(process, grace=10)
