"""Logging of every process of the backend: one line per message, on standard error."""

import logging

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
# Libraries that log every step; the backend itself logs the steps that matter.
VERBOSE = ("rq.worker", "rq.job", "rq.queue", "rq.scheduler", "rq.registry", "alembic")


def set_up_logging(level: str) -> None:
    """Log messages from `level` on; unless it is DEBUG, only warnings of verbose libraries."""
    logging.basicConfig(level=level, format=FORMAT)
    for name in VERBOSE:
        logging.getLogger(name).setLevel(level if level == "DEBUG" else logging.WARNING)
