"""Answers to requests that fail: a page for a person in a browser, JSON for a program."""

import logging
import secrets

from flask import Flask, Response, jsonify, render_template, request
from sqlalchemy.exc import DatabaseError, OperationalError
from werkzeug.exceptions import (
    HTTPException,
    RequestEntityTooLarge,
    Unauthorized,
)

from backend.agreement.filters import NAMES
from backend.contract.limits import LimitReached
from backend.database.faults import fault_of
from backend.web.pages import page, prefers_pages
from backend.web.reason_phrase import with_reason

logger = logging.getLogger(__name__)

# Label Studio sends every selected task in one request.
LARGEST_BODY = 256 * 2**20
REPORT = "agreement.report"
# What people open in a browser. All other routes answer programs.
OPENED_BY_PEOPLE = (REPORT, "status.index", "status.retry", "agreement.download")


def answer_errors(app: Flask) -> None:
    """Have the application answer every error in the form that the client can read."""
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(LimitReached, _answer_limit)
    app.register_error_handler(DatabaseError, _answer_database_error)
    app.register_error_handler(Exception, _answer_unexpected_error)


def _answer_http_error(error: HTTPException) -> Response:
    message = error.description or error.name
    if isinstance(error, RequestEntityTooLarge):
        message = f"expected a body of at most {LARGEST_BODY} bytes: select fewer tasks at a time"
    answer = _answer(message, error.code or 500)
    if isinstance(error, Unauthorized):
        answer.headers["WWW-Authenticate"] = 'Basic realm="keypoints"'
    return answer


def _answer_limit(error: LimitReached) -> Response:
    answer = _answer(str(error), error.status)
    answer.headers["Retry-After"] = str(error.retry_after)
    return with_reason(answer, str(error))


def _answer_database_error(error: DatabaseError) -> Response:
    fault = fault_of(error)
    if fault.kind == "unknown" and not isinstance(error, OperationalError):
        return _answer_unexpected_error(error)
    logger.error("The database cannot be used: %s", fault)
    return _answer("the database cannot be used now: try again soon", 503)


def _answer_unexpected_error(error: Exception) -> Response:
    logger.error("%s %s: unexpected error", request.method, request.path, exc_info=error)
    return _answer("unexpected error: see the backend's log", 500)


def _answer(message: str, status: int) -> Response:
    opened_by_people = request.endpoint in OPENED_BY_PEOPLE or request.routing_exception is not None
    if opened_by_people and prefers_pages():
        nonce = secrets.token_urlsafe(16)
        answer = page(_error_page(message, status, nonce), nonce)
    else:
        answer = jsonify(error=message)
    answer.status_code = status
    return answer


def _error_page(message: str, status: int, nonce: str) -> str:
    given = request.args.to_dict()
    filters = {name: given.get(name, "") for name in NAMES}
    return render_template(
        "error.html",
        message=f"{message[:1].upper()}{message[1:].removesuffix('.')}.",
        status=status,
        nonce=nonce,
        # Relative, so that links hold behind a proxy that serves the backend under a prefix.
        root="../" * (request.path.count("/") - 1) or "./",
        filters=filters if status == 400 and request.endpoint == REPORT else None,
    )
