"""What gunicorn runs in its processes; its configuration, named by `server.web_command`."""

import logging
from typing import Any

from gunicorn.glogging import Logger

from backend.agreement.warm_up import warm_up_in_background
from backend.database.connection import Database
from backend.durations.recorder import store_in_background
from backend.logs import set_up_logging
from backend.pauses import exempt_from_collections
from backend.settings import SettingsError, load_settings


class BackendLogger(Logger):  # type: ignore[misc]
    """Sends gunicorn's own lines the way of all others; gunicorn logs before it loads the app."""

    def setup(self, cfg: Any) -> None:
        """Set up the process's logging; wrong settings are reported when the app is loaded."""
        try:
            settings = load_settings()
            set_up_logging(settings.log_level, settings.log_format, settings.secrets())
        except SettingsError:
            set_up_logging("INFO")
        self.error_log.setLevel(logging.WARNING)
        self.error_log.propagate = True
        self.access_log.propagate = True


logger_class = BackendLogger


def post_worker_init(worker: Any) -> None:
    """Have a new process answer quickly, prepare its first report, and store what it measures."""
    exempt_from_collections()
    warm_up_in_background()
    store_in_background(Database(load_settings().database))
