import errno
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.exc import OperationalError
from urllib3.exceptions import LocationParseError

from backend.labelstudio.errors import (
    LabelStudioError,
    error_may_pass,
    innermost,
    lies_outside,
    malformed,
    retry_after,
    status_may_pass,
)
from backend.labelstudio.shapes import ShapeError


def test_a_malformed_answer_is_one_sentence_with_field_request_and_address():
    cause = ShapeError("expected a whole number in 'id', got nothing", "id")
    error = malformed(cause, "GET /api/projects/3/", "http://studio")
    assert str(error) == (
        "expected a whole number in 'id', got nothing in the answer of http://studio to GET "
        "/api/projects/3/: is this the address of a Label Studio, and of a version that this "
        "backend supports?"
    )
    assert (error.retryable, error.status) == (False, 200)


def test_the_innermost_error_is_the_cause():
    with pytest.raises(RuntimeError) as caught:
        try:
            raise OSError("Connection refused")
        except OSError as error:
            raise RuntimeError("cannot connect") from error
    assert innermost(caught.value) == "Connection refused"
    assert innermost(KeyError()) == "KeyError"


@pytest.mark.parametrize(
    ("status", "may_pass"),
    [
        (400, False),
        (401, True),
        (403, True),
        (404, False),
        (408, True),
        (425, True),
        (429, True),
        (500, True),
        (503, True),
    ],
)
def test_which_statuses_may_pass(status: int, may_pass: bool):
    assert status_may_pass(status) is may_pass


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (requests.ConnectionError(), True),
        (requests.Timeout(), True),
        (OSError(), True),
        (requests.exceptions.SSLError(), True),
        (requests.exceptions.InvalidURL(), False),
        (LocationParseError("http://["), False),
        (UnicodeError(), False),
    ],
)
def test_which_errors_may_pass(error: Exception, may_pass: bool):
    assert error_may_pass(error) is may_pass


@pytest.mark.parametrize(
    ("error", "outside"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OperationalError("SELECT 1", {}, Exception("the server closed the connection")), True),
        (RedisConnectionError(), True),
        (LabelStudioError("busy", retryable=True), True),
        (LabelStudioError("gone", retryable=False), False),
        (FileNotFoundError(errno.ENOENT, "No such file"), False),
        (ValueError(), False),
    ],
)
def test_which_errors_lie_outside_of_the_task(error: Exception, outside: bool):
    assert lies_outside(error) is outside


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120.0), ("", None), ("soon", None), ("-5", None), ("9" * 40, 999_999_999.0)],
)
def test_seconds_after_which_a_service_wants_to_be_asked_again(value: str, seconds: float | None):
    assert retry_after({"Retry-After": value}) == seconds


def test_a_date_after_which_a_service_wants_to_be_asked_again():
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    found = retry_after({"Retry-After": later})
    assert found is not None
    assert 3590 < found <= 3600
    assert retry_after({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}) == 0
