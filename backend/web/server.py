"""The web process: gunicorn around the Flask application."""

import os
import sys

from backend.database.prepare import prepare_database
from backend.settings import Settings

# Label Studio asks for nothing that takes longer than its own patience, and a request that is cut
# short harms nothing: what it waited for is delivered by a worker.
_GRACE_SECONDS = "3"


def run(settings: Settings) -> int:
    """Become the web process, listening on `settings.host` and `settings.port`.

    Raises:
        RuntimeError: there is no Redis in the settings, or the database cannot be used.
    """
    if settings.redis_url is None:
        raise RuntimeError(
            "expected REDIS_URL, the Redis that the workers use, but it is not set: set it, "
            "or start everything at once with `python -m backend serve`"
        )
    prepare_database(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    command = web_command(settings, bind=f"{host}:{settings.port}")
    os.execv(command[0], command)


def web_command(settings: Settings, *, bind: str) -> list[str]:
    """Program and arguments of gunicorn; `bind` is an address, or `fd://N` for an open socket.

    The application is loaded once, before gunicorn's processes divide, so that the weights file is
    read once and a process that died is there again at once.
    """
    return [
        *(sys.executable, "-m", "gunicorn", "backend.web.app:create_from_environment()"),
        *("--bind", bind, "--worker-class", "gthread", "--preload", "--no-control-socket"),
        *("--workers", str(settings.workers), "--threads", str(settings.threads)),
        *("--graceful-timeout", _GRACE_SECONDS, "--log-level", "warning"),
    ]
