import pytest
from flask import Flask
from werkzeug.exceptions import BadRequest

from backend.labelstudio.schemas import PredictRequest, SetupRequest
from backend.web.json_body import json_object, parsed

APP = Flask(__name__)


def test_the_body_of_a_request_is_read() -> None:
    with APP.test_request_context("/", method="POST", data=b'{"a": NaN}'):
        assert json_object(odd_numbers=True) == {"a": "NaN"}


def test_a_body_that_is_no_json_object_is_a_bad_request_that_says_why() -> None:
    with (
        APP.test_request_context("/", method="POST", data=b'{"a": NaN}'),
        pytest.raises(BadRequest, match="NaN is not a number"),
    ):
        json_object()


def test_a_body_of_the_right_shape_is_typed() -> None:
    body = parsed(SetupRequest, {"project": 7, "schema": "<View/>"})
    assert (body.project, body.label_config) == ("7", "<View/>")


def test_a_body_of_another_shape_is_a_bad_request_that_says_what_is_missing() -> None:
    with pytest.raises(BadRequest) as caught:
        parsed(PredictRequest, {})
    assert caught.value.description == "expected a list of tasks in 'tasks', got nothing"
