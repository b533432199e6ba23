"""How every process of the backend logs: one line a message, on standard error."""

import logging

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
# They log each of their steps; what matters of them the backend says itself.
TALKATIVE = ("rq.worker", "rq.job", "rq.queue", "rq.scheduler", "rq.registry", "alembic")


def set_up_logging(level: str) -> None:
    """Log from `level` on; of libraries warnings, unless everything is asked for."""
    logging.basicConfig(level=level, format=FORMAT)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(level if level == "DEBUG" else logging.WARNING)
