"""Errors of Label Studio's API, each with a sentence that says what to do."""

from typing import Any
from urllib.parse import urlsplit

import requests

from backend.labelstudio.shapes import ShapeError
from backend.retries import error_may_pass, status_may_pass

WHAT_TO_SET = (
    "set LABEL_STUDIO_API_KEY to a token from Label Studio's Account & Settings page "
    "(a personal access token, or a legacy token where the organization allows them)"
)


class LabelStudioError(Exception):
    """A request to Label Studio failed; str() is a sentence for a person.

    Attributes:
        retryable: whether the same request may succeed later.
        status: HTTP status of the answer; None if there was no answer.
    """

    def __init__(self, message: str, *, retryable: bool, status: int | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.status = status


def no_answer(error: Exception, url: str) -> LabelStudioError:
    """Return the error about a request to `url` that got no answer."""
    if isinstance(error, requests.exceptions.SSLError):
        message = (
            f"expected a certificate of {url} that can be trusted, got {innermost(error)}: "
            "set REQUESTS_CA_BUNDLE to a file with the certificate of its authority"
        )
    elif isinstance(error, ValueError):
        message = f"expected the address of Label Studio, got {url}: {error}; set LABEL_STUDIO_URL"
    else:
        message = (
            f"expected Label Studio to answer at {url}, got {innermost(error)}: "
            "is it running, and is LABEL_STUDIO_URL its address as seen from here?"
        )
    return LabelStudioError(message, retryable=error_may_pass(error))


def decoded(answer: requests.Response, url: str) -> Any:
    """Return the JSON of an answer from the Label Studio at `url`.

    Raises:
        LabelStudioError: the answer is a redirect, an error, or not JSON.
    """
    status = answer.status_code
    if answer.is_redirect:
        raise LabelStudioError(
            f"expected Label Studio at {url}, got a redirect to "
            f"{answer.headers['Location']}: set LABEL_STUDIO_URL to the final address",
            retryable=False,
            status=status,
        )
    request = f"{answer.request.method} {urlsplit(answer.url).path}"
    if not answer.ok:
        raise LabelStudioError(
            f"{url} answered {request} with {status}: {_explanation(answer)}",
            retryable=status_may_pass(status),
            status=status,
        )
    try:
        return answer.json()
    except requests.JSONDecodeError:
        raise LabelStudioError(
            f"expected JSON from {url} for {request}, got "
            f"{answer.headers.get('Content-Type', 'no type')}: is it Label Studio's address?",
            retryable=False,
            status=status,
        ) from None


def _explanation(answer: requests.Response) -> str:
    """Return the reason of an error status; for a refused token, what to set."""
    detail = _detail(answer)
    if answer.status_code == 401 and "legacy" in detail:
        return (
            "the organization has switched legacy tokens off, and the token that Label Studio "
            f"itself passes to backends is one; {WHAT_TO_SET}"
        )
    if answer.status_code == 401:
        return f"{detail or 'not allowed'}; {WHAT_TO_SET}"
    return detail or answer.reason or "no reason given"


def _detail(answer: requests.Response) -> str:
    """Return Label Studio's own description of an error; empty if the body has none."""
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        return ""
    if not isinstance(body, dict):
        return ""
    return f"{body.get('detail', '')} {body.get('validation_errors') or ''}".strip(" .")[:500]


def malformed(error: ShapeError, request: str, url: str) -> LabelStudioError:
    """Return the error about an answer whose JSON has another shape than Label Studio's.

    Args:
        request: method and path.
        url: of the Label Studio that answered.
    """
    return LabelStudioError(
        f"{error} in the answer of {url} to {request}: is this the address of a Label Studio, and "
        "of a version that this backend supports?",
        retryable=False,
        status=requests.codes.ok,
    )


def innermost(error: BaseException) -> str:
    """Return the root cause of an error of `requests`, as the operating system words it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__
