"""How every process of the backend logs: one line a message, on standard error."""

import logging

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
# They log each of their steps; what matters of them the backend says itself.
TALKATIVE = ("rq", "alembic", "urllib3")


def set_up_logging(level: str) -> None:
    """Log from `level` on; of libraries warnings, unless everything is asked for."""
    logging.basicConfig(level=level, format=FORMAT)
    for name in TALKATIVE:
        quiet = logging.NOTSET if level == "DEBUG" else logging.WARNING
        logging.getLogger(name).setLevel(quiet)
