import json
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import BadRequest

from backend.labelstudio.schemas import PredictRequest, SetupRequest
from backend.web.json_body import json_object, parsed

APP = Flask(__name__)


def read(raw: bytes, **how: Any) -> Any:
    with APP.test_request_context("/", method="POST", data=raw):
        return json_object(**how)


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


def test_events_may_hold_numbers_that_json_does_not_allow() -> None:
    found = read(b'{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5}', odd_numbers=True)
    assert found == {"a": "NaN", "b": "-Infinity", "c": "1e999", "d": 1.5}


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_every_json_object_is_read(body: dict[str, Any]) -> None:
    assert read(json.dumps(body).encode()) == body


def test_a_body_of_the_right_shape_is_typed() -> None:
    body = parsed(SetupRequest, {"project": 7, "schema": "<View/>"})
    assert (body.project, body.label_config) == ("7", "<View/>")


def test_a_body_of_another_shape_is_a_bad_request_that_says_what_is_missing() -> None:
    with pytest.raises(BadRequest) as caught:
        parsed(PredictRequest, {})
    assert caught.value.description == "expected a list of tasks in 'tasks', got nothing"
