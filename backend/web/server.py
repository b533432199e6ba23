"""The web process: gunicorn serving the Flask application."""

import os
import sys

from backend.contract.prepare import prepare_contract
from backend.private_files import create_files_privately
from backend.settings import Settings

# Interrupting a longer request is harmless: a worker delivers what the request waited for.
_GRACE_SECONDS = "3"
# Of each process; more may be more than the files that a process may open.
_CONNECTIONS = 700


def run(settings: Settings) -> int:
    """Replace this process by gunicorn, listening on `settings.host` and `settings.port`.

    Raises:
        RuntimeError: the settings name no Redis, or the database cannot be used.
    """
    create_files_privately()
    if settings.redis_url is None:
        raise RuntimeError(
            "expected REDIS_URL, the Redis that the workers use, but it is not set: set it, "
            "or start everything at once with `python -m backend serve`"
        )
    prepare_contract(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    command = web_command(settings, bind=f"{host}:{settings.port}")
    os.execv(command[0], command)


def web_command(settings: Settings, *, bind: str) -> list[str]:
    """Return the command line of gunicorn.

    The application is loaded once, before gunicorn forks, so that the weights file is read once
    and a worker process that died is replaced at once.

    Args:
        bind: an address, or `fd://N` for an open socket.
    """
    return [
        *(sys.executable, "-m", "gunicorn", "backend.web.app:create_from_environment()"),
        *("--bind", bind, "--preload", "--no-control-socket"),
        *("--worker-class", "backend.web.gunicorn_worker.CollectingWorker"),
        *("--workers", str(settings.workers), "--threads", str(settings.threads)),
        *("--worker-connections", str(max(_CONNECTIONS, 2 * settings.threads))),
        *("--graceful-timeout", _GRACE_SECONDS, "--log-level", "warning"),
        *("--config", "python:backend.web.gunicorn_hooks"),
    ]
