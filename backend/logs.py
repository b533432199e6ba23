"""Logging of every process of the backend: one line per message, on standard error."""

import logging

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
# Libraries that log every step; the backend itself logs the steps that matter.
VERBOSE = ("rq.worker", "rq.job", "rq.queue", "rq.scheduler", "rq.registry", "alembic")

# Libraries that log the queries of addresses at DEBUG: signatures and keys stand there.
INDISCREET = ("urllib3",)


def set_up_logging(level: str) -> None:
    """Log messages from `level` on; unless it is DEBUG, only warnings of verbose libraries.

    Of indiscreet libraries, only warnings at any level.
    """
    logging.basicConfig(level=level, format=FORMAT)
    for name in INDISCREET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in VERBOSE:
        logging.getLogger(name).setLevel(level if level == "DEBUG" else logging.WARNING)
