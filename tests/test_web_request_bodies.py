import json
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import BadRequest

from backend.web import request_bodies

APP = Flask(__name__)


def read(raw: bytes, **how: Any) -> Any:
    with APP.test_request_context("/", method="POST", data=raw):
        return request_bodies.json_object(**how)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "0 bytes"),
        (b"{", "line 1 column 2"),
        (b'{"a": 1,}', "line 1 column 9"),
        (b"\xff\xfe", "JSON"),
        (b"[]", "a list"),
        (b"null", "null"),
        (b"3", "got 3"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999}', "1e999"),
        (b"[" * 100_000, "JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "JSON"),
    ],
)
def test_what_is_no_json_object_is_refused_with_the_reason(raw: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match="expected") as caught:
        read(raw)
    assert said in str(caught.value)


def test_a_long_body_is_not_repeated_in_the_answer() -> None:
    with pytest.raises(BadRequest) as caught:
        read(b"rubbish " * 10_000)
    assert len(str(caught.value)) < 300


def test_events_may_hold_numbers_that_are_none() -> None:
    found = read(b'{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5}', odd_numbers=True)
    assert found == {"a": "NaN", "b": "-Infinity", "c": "1e999", "d": 1.5}


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_every_json_object_is_read(body: dict[str, Any]) -> None:
    assert read(json.dumps(body).encode()) == body


@pytest.mark.parametrize(
    "value", [None, True, 1.5, "", "x" * 101, "a\0b", "a\nb", "\ud800", [], {}]
)
def test_a_project_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(BadRequest, match="'project'"):
        request_bodies.project_uid({"project": value})


@pytest.mark.parametrize(("value", "uid"), [("3.1795347724", "3.1795347724"), (7, "7")])
def test_a_project_is_named_as_label_studio_does(value: object, uid: str) -> None:
    assert request_bodies.project_uid({"project": value}) == uid


def test_a_missing_field_is_said_to_be_missing() -> None:
    with pytest.raises(BadRequest, match="in 'tasks', got nothing"):
        request_bodies.tasks({})


@pytest.mark.parametrize("value", [1, [], "a\0b", "\udfff"])
def test_a_text_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(BadRequest, match="'schema'"):
        request_bodies.text({"schema": value}, "schema")


@pytest.mark.parametrize("value", ["ftp://host", "host:8080", "http://", "http://[", 5])
def test_an_address_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(BadRequest, match="'hostname'"):
        request_bodies.web_address({"hostname": value}, "hostname")


@pytest.mark.parametrize("value", [None, ""])
def test_an_address_may_be_missing(value: object) -> None:
    assert request_bodies.web_address({"hostname": value}, "hostname") is None


@pytest.mark.parametrize("parameters", [None, [], {}, {"context": None}, {"context": []}])
def test_an_ordinary_request_has_no_context(parameters: object) -> None:
    assert request_bodies.context({"params": parameters}) is None


def test_the_token_of_a_project_is_not_kept() -> None:
    body = {"action": "X", "project": {"id": 3, "token": "secret"}, "task": {"token": "a word"}}
    kept = request_bodies.without_token(body)
    assert kept == {"action": "X", "project": {"id": 3}, "task": {"token": "a word"}}
    assert body["project"]["token"] == "secret"  # type: ignore[index]


@pytest.mark.parametrize("project", [None, 3, [], {}, {"id": True}, {"id": 2**70}, {"id": "3"}])
def test_an_event_of_no_known_project_has_none(project: object) -> None:
    assert request_bodies.project_id({"project": project}) is None
    assert request_bodies.without_token({"project": project}) == {"project": project}
