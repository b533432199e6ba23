"""The doctor's check of Redis: it answers, accepts writes, and keeps what it is given."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    RedisError,
    ResponseError,
)

from backend.commands.doctor_results import CheckResult, note, ok, problem
from backend.labelstudio.errors import innermost
from backend.local.embedded_redis import redis_url
from backend.settings import Settings

TIMEOUT_SECONDS = 5.0
PROBE_KEY = "prelabelling:doctor"


def redis_name(settings: Settings) -> str:
    """Return how messages call the Redis of these settings."""
    return "REDIS_URL" if settings.redis_url else "the Redis of `python -m backend serve`"


def connect(settings: Settings) -> "Redis":
    """Return a client that gives up soon."""
    return Redis.from_url(
        redis_url(settings),
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
    )


def check_redis(settings: Settings) -> Iterator[CheckResult]:
    """Check that Redis answers, accepts writes, evicts nothing and survives a restart."""
    name = redis_name(settings)
    try:
        with connect(settings) as connection:
            connection.ping()
            yield from _check_writes(connection, name)
            yield from _check_memory(connection, name)
            yield from _check_persistence(connection, name)
    except (RedisError, OSError) as error:
        has_password = urlsplit(redis_url(settings)).password is not None
        yield problem("Redis", f"{name} {_what_is_wrong(error, has_password)}")


def _what_is_wrong(error: Exception, has_password: bool) -> str:
    said = innermost(error)
    if isinstance(error, InvalidResponse) or "Protocol Error" in said or "closed by" in said:
        return (
            f"is the address of something else ({said}): set it to redis://HOST:PORT/NUMBER of a "
            "Redis, or to rediss:// where it is encrypted"
        )
    if isinstance(error, AuthenticationError) or "NOAUTH" in said:
        wrong = "refuses this user or password" if has_password else "wants a password"
        return (
            f"{wrong}: set REDIS_URL to redis://:PASSWORD@HOST:PORT/0 with the password of its "
            "requirepass"
        )
    if "NOPERM" in said:
        return f"allows this user too little ({said}): give it `~* &* +@all` (ACL SETUSER)"
    if isinstance(error, ResponseError):
        return _why_not_written(said)
    return f"does not answer ({said}): start it, or set REDIS_URL"


def _check_writes(connection: Redis, name: str) -> Iterator[CheckResult]:
    """Write a key that ends by itself."""
    connection.set(PROBE_KEY, b"1", px=1000)
    yield ok("Redis", f"{name} answers")


def _why_not_written(said: str) -> str:
    if "MISCONF" in said or "RDB" in said:
        return (
            "accepts no writes, because it cannot save to its disk (MISCONF): free space or make "
            "its folder writable (`redis-cli config get dir`), and see its log"
        )
    if "OOM" in said or "maxmemory" in said:
        return "accepts no writes, because its memory is full: raise its maxmemory"
    if "read only" in said.lower() or "READONLY" in said:
        return "is a replica, which accepts no writes: set REDIS_URL to the primary"
    return f"accepts no writes: {said}"


def _check_memory(connection: Redis, name: str) -> Iterator[CheckResult]:
    memory: dict[str, Any] = connection.info("memory")
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and memory.get("maxmemory", 0):
        yield problem(
            "Redis",
            f"{name} drops jobs when its memory is full (maxmemory-policy {policy}): set "
            "maxmemory-policy noeviction",
        )


def _check_persistence(connection: Redis, name: str) -> Iterator[CheckResult]:
    """Note that nothing is saved; `info` alone tells, because managed servers refuse `config`."""
    if connection.info("persistence").get("aof_enabled"):
        return
    try:
        saves = connection.config_get("save").get("save", "")
    except ResponseError:
        return
    if not saves:
        yield note(
            "Redis",
            f"{name} saves nothing to disk: after its restart all queued work is queued again from "
            "the database, which takes a minute; set appendonly yes to keep it",
        )
