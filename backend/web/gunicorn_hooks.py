"""What gunicorn runs in its processes; its configuration, named by `server.web_command`."""

from typing import Any

from backend.agreement.warm_up import warm_up_in_background


def post_worker_init(worker: Any) -> None:
    """Prepare a new process for its first report."""
    warm_up_in_background()
