"""A Redis that RQ has lost makes a line; an error of another kind keeps its traceback."""

import io
import logging

import pytest
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from backend.log_filters.lost_redis import LostRedisFilter


def logged(name: str, error: Exception) -> list[str]:
    """The lines that a logger writes about an error."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.addFilter(LostRedisFilter())
    logger = logging.Logger(name)
    logger.addHandler(handler)
    try:
        raise error
    except Exception:
        logger.exception("Worker %s: quitting", "a")
    return text.getvalue().splitlines()


@pytest.fixture
def lost() -> RedisError:
    with pytest.raises(RedisError) as raised, Redis(port=1, retry=None) as nowhere:
        nowhere.ping()
    return raised.value


def test_a_lost_redis_makes_one_line_with_the_reason(lost: RedisError) -> None:
    [line] = logged("rq.worker", lost)
    assert line.startswith("Worker a: quitting: Error 111 connecting to localhost:1.")


def test_any_other_error_keeps_its_traceback(lost: RedisError) -> None:
    assert "Traceback (most recent call last):" in logged("rq.worker", ResponseError("wrong type"))
    assert "Traceback (most recent call last):" in logged("backend.web", lost)
