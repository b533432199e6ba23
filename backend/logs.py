"""Logging of every process of the backend: one line per message, on standard error.

Libraries log through the standard `logging`, and so does the backend; structlog adds what is known
of the request or task at hand, and renders the line as text or as JSON. Secrets are masked, and a
storm of equal warnings becomes one line a minute.
"""

import logging
import re
import secrets
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

from backend.log_filters.lost_redis import LostRedisFilter
from backend.log_filters.secret_masking import SecretMask
from backend.log_filters.storms import StormFilter

LogFormat = Literal["text", "json"]

# Libraries that log every step; the backend itself logs the steps that matter.
VERBOSE = ("rq.worker", "rq.job", "rq.queue", "rq.scheduler", "rq.registry", "alembic")

# Libraries that log the queries of addresses at DEBUG: signatures and keys stand there.
INDISCREET = ("urllib3",)
# A request id that may stand in a log line, a header and the database as it came.
HARMLESS_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REQUEST_ID = "request_id"


def set_up_logging(
    level: str, log_format: LogFormat = "text", known_secrets: Collection[str] = ()
) -> None:
    """Log messages from `level` on; unless it is DEBUG, only warnings of verbose libraries.

    Of indiscreet libraries, only warnings at any level.

    Args:
        log_format: `text` for people, `json` for one JSON object a line.
        known_secrets: masked wherever they occur.
    """
    for name in INDISCREET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in VERBOSE:
        logging.getLogger(name).setLevel(level if level == "DEBUG" else logging.WARNING)
    root = logging.getLogger()
    if root.handlers:  # set up before, or by whoever runs this process, such as a test
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(log_format, SecretMask(known_secrets)))
    handler.addFilter(LostRedisFilter())
    handler.addFilter(StormFilter(handler.emit))
    root.addHandler(handler)
    root.setLevel(level)


@contextmanager
def log_context(**values: str | int | None) -> Iterator[None]:
    """Add these values, unless they are None, to every line that is logged inside the block."""
    known = {name: value for name, value in values.items() if value is not None}
    with structlog.contextvars.bound_contextvars(**known):
        yield


@contextmanager
def job_log_context() -> Iterator[None]:
    """Begin with nothing known inside the block, and forget what is learnt there after it."""
    before = structlog.contextvars.get_contextvars()
    structlog.contextvars.clear_contextvars()
    try:
        yield
    finally:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(**before)


def add_to_log_context(**values: str | int | None) -> None:
    """Add values, unless they are None, to every line until the job or request ends."""
    known = {name: value for name, value in values.items() if value is not None}
    structlog.contextvars.bind_contextvars(**known)


def begin_request(given: str | None) -> str:
    """Forget the request before, and return the id of a new one, which is logged from now on.

    Args:
        given: the id that the client chose; replaced unless it is harmless.
    """
    request_id = given if given and HARMLESS_ID.fullmatch(given) else secrets.token_hex(8)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**{_REQUEST_ID: request_id})
    return request_id


def current_request_id() -> str | None:
    """Return the id of the request that this thread works for; None if there is none."""
    found: str | None = structlog.contextvars.get_contextvars().get(_REQUEST_ID)
    return found


def _formatter(log_format: LogFormat, mask: SecretMask) -> logging.Formatter:
    def mask_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Mask each text before it is rendered, because JSON puts backslashes into it."""
        return {
            name: mask.apply(value) if isinstance(value, str) else value
            for name, value in event.items()
        }

    renderers: list[structlog.typing.Processor] = [_render_text]
    if log_format == "json":
        rename = structlog.processors.EventRenamer("message")
        renderers = [rename, structlog.processors.JSONRenderer(default=str)]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars],
        processors=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            _add_time,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            mask_values,
            *renderers,
        ],
    )


def _add_time(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the time of the record in UTC, to the millisecond (RFC 3339), and its process."""
    record: logging.LogRecord = event["_record"]
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    event["time"] = f"{moment}.{int(record.msecs):03d}Z"
    event["process"] = record.process
    return event


def _render_text(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Return a line such as `2026-01-31 12:00:00.000Z INFO    name: message [request_id=x]`."""
    moment = str(event.pop("time")).replace("T", " ")
    level, name, message = (event.pop(key) for key in ("level", "logger", "event"))
    exception = event.pop("exception", None)
    event.pop("process")
    known = " ".join(f"{key}={value}" for key, value in sorted(event.items()))
    line = f"{moment} {str(level).upper():<7} {name}: {message}"
    line += f" [{known}]" if known else ""
    return f"{line}\n{exception}" if exception else line
