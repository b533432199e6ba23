import pytest
import requests
from urllib3.exceptions import LocationParseError

from backend.retries import (
    CHILD_PROCESS,
    DELIVERY,
    DETECTION_JOB,
    TRAINING_IMAGE,
    TRAINING_IMAGE_RETRIES,
    WEB_REDIS,
    WEB_REDIS_RETRIES,
    WORKER_REDIS,
    Backoff,
    error_may_pass,
    status_may_pass,
)


@pytest.mark.parametrize(
    ("backoff", "pauses"),
    [
        (DETECTION_JOB, [5, 15, 45, 135, 300, 300]),
        (DELIVERY, [15, 30, 60, 120, 240, 480, 600, 600]),
        (WORKER_REDIS, [0.5, 1, 2, 4, 8, 10, 10]),
        (CHILD_PROCESS, [0.5, 1, 2, 4, 8, 16, 30, 30]),
        (Backoff(first=2.0), [2, 2, 2]),
    ],
)
def test_pauses_grow_up_to_the_longest(backoff: Backoff, pauses: list[float]):
    assert backoff.pauses(len(pauses)) == pauses


def test_policies_with_few_retries_pause_so_long():
    assert TRAINING_IMAGE.pauses(TRAINING_IMAGE_RETRIES) == [1, 5]
    assert WEB_REDIS.pauses(WEB_REDIS_RETRIES) == [0.05]


def test_a_pause_stays_the_longest_however_often_it_failed():
    """A child that dies for weeks: 2 ** 5000 is no float."""
    assert CHILD_PROCESS.pause(5000) == 30


@pytest.mark.parametrize(
    ("status", "may_pass"),
    [
        (400, False),
        (401, False),
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
        (requests.exceptions.SSLError(), False),
        (requests.exceptions.InvalidURL(), False),
        (LocationParseError("http://["), False),
        (UnicodeError(), False),
    ],
)
def test_which_errors_may_pass(error: Exception, may_pass: bool):
    assert error_may_pass(error) is may_pass
