import pytest

from backend.retries import (
    CHILD_PROCESS,
    DELIVERY,
    DETECTION_JOB,
    TRAINING_IMAGE,
    TRAINING_IMAGE_RETRIES,
    WAIT,
    WEB_REDIS,
    WEB_REDIS_RETRIES,
    WORKER_REDIS,
    Backoff,
    jittered,
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


def test_a_pause_grows_with_the_time_that_the_failures_have_lasted():
    assert [WAIT.grown(waited) for waited in (0, 4, 6, 100, 10_000)] == [5, 5, 6, 100, 300]


def test_pauses_are_spread_by_a_quarter_each_way():
    pauses = [jittered(100) for _ in range(1000)]
    assert 75 <= min(pauses) < 80
    assert 120 < max(pauses) <= 125
