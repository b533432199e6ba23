"""Errors of requests for data, each with a sentence that says what to do, and what they mean.

This is the one place that decides whether a failure lies in the task, and ends it, or outside of
it, so that the task waits until the cause has passed: a service that is away, overloaded or refuses
our token, a log-in page in place of what was asked for, a full disk, no database, no Redis.
"""

import errno
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from redis.exceptions import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError

from backend.labelstudio.shapes import ShapeError
from backend.outages.breaker import Breaker, ServiceAway
from backend.outages.records import Cause

WHAT_TO_SET = (
    "set LABEL_STUDIO_API_KEY to a token from Label Studio's Account & Settings page "
    "(a personal access token, or a legacy token where the organization allows them)"
)


# Statuses that say nothing about the task: of access, which an operator or a new token mends, of
# time-outs and of too many requests. So do all from 500 on.
OUTSIDE_STATUSES = (401, 403, 408, 425, 429)
# Errors of the operating system that say nothing about the task: full disk, quota, open files, too
# little memory or too many processes to start another one.
OUTSIDE_ERRNOS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.EROFS),
    *(errno.ENOMEM, errno.EAGAIN),
)
UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN)


def status_may_pass(status: int) -> bool:
    """Return whether an HTTP status says nothing about the task, and may pass."""
    return status in OUTSIDE_STATUSES or status >= 500


def error_may_pass(error: Exception) -> bool:
    """Return whether an HTTP request that got no answer may succeed later.

    Malformed addresses (ValueErrors of requests and urllib3) stay malformed.
    """
    return not isinstance(error, ValueError)


def lies_outside(error: Exception) -> bool:
    """Return whether an error of any kind lies outside of the task that met it."""
    if isinstance(error, RequestFailed):
        return error.retryable
    if isinstance(error, OSError):
        return error.errno in OUTSIDE_ERRNOS
    return isinstance(error, OperationalError | InterfaceError | RedisError | MemoryError)


class RequestFailed(Exception):
    """A request for data failed; str() is a sentence for a person.

    Attributes:
        retryable: whether the failure lies outside of the task, so that the same request may
            succeed later.
        status: HTTP status of the answer; None if there was no answer.
        retry_after: s until the service wants to be asked again, if it says that.
        refused_connection: the service did not accept a connection at all.
        away: the service that is away, if that is the reason.
        sent: whether the request was sent; False where the service is known to be away.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        status: int | None = None,
        retry_after: float | None = None,
        refused_connection: bool = False,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.status = status
        self.retry_after = retry_after
        self.refused_connection = refused_connection
        self.away: str | None = None
        self.sent = True


class LabelStudioError(RequestFailed):
    """A request to Label Studio's API failed; str() is a sentence for a person."""


def cause_of(error: Exception) -> Cause:
    """Return why work has to wait, given an error that lies outside of it."""
    reason = str(error) if isinstance(error, RequestFailed) else f"{type(error).__name__}: {error}"
    if not isinstance(error, RequestFailed):
        return Cause(reason.partition("\n")[0])
    return Cause(reason, away=error.away, sent=error.sent, retry_after=error.retry_after)


@contextmanager
def watched(breaker: Breaker, service: str, failure: type[RequestFailed]) -> Iterator[None]:
    """Tell a breaker how the block's requests to a service end; refuse them while it is away.

    Args:
        service: such as `API of http://label-studio:8080`.
        failure: the kind of error to raise while it is away.

    Raises:
        RequestFailed: of that kind, without any request, while the service is away.
    """
    try:
        failed_before = breaker.check(service)
    except ServiceAway as away:
        refused = failure(str(away), retryable=True)
        refused.away, refused.sent = service, False
        raise refused from None
    try:
        yield
    except RequestFailed as error:
        if not error.retryable:  # it answered
            _record_success(breaker, service, failed_before)
        elif breaker.failed(
            service,
            str(error),
            certain=error.refused_connection,
            retry_after=error.retry_after,
        ):
            error.away = service
        raise
    _record_success(breaker, service, failed_before)


def _record_success(breaker: Breaker, service: str, failed_before: bool) -> None:
    if failed_before:
        breaker.succeeded(service)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until a service wants to be asked again; None if it does not say."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (zoned - datetime.now(UTC)).total_seconds())


def is_refused_connection(error: Exception) -> bool:
    """Return whether there was no connection at all, as opposed to one that broke or was slow."""
    root: BaseException = error
    while root.__cause__ or root.__context__:
        root = root.__cause__ or root.__context__ or root
    unreachable = isinstance(root, OSError) and root.errno in UNREACHABLE
    return unreachable or isinstance(
        root, ConnectionRefusedError | socket.gaierror | requests.ConnectTimeout
    )


def no_answer(error: Exception, url: str) -> LabelStudioError:
    """Return the error about a request to `url` that got no answer."""
    if isinstance(error, requests.exceptions.SSLError):
        message = (
            f"expected a certificate of {url} that can be trusted, got {innermost(error)}: "
            "set REQUESTS_CA_BUNDLE to a file with the certificate of its authority"
        )
    elif isinstance(error, requests.exceptions.ProxyError):
        message = (
            f"expected the proxy of http_proxy, https_proxy or all_proxy to answer for {url}, got "
            f"{innermost(error)}: start that proxy, unset the variable, or name the host in "
            "no_proxy"
        )
    elif isinstance(error, requests.Timeout):
        message = (
            f"expected Label Studio to answer at {url}, but it took too long ({innermost(error)}): "
            "it hangs or is overloaded, or a firewall drops the connection; look at its log"
        )
    elif isinstance(error, ValueError):
        message = f"expected the address of Label Studio, got {url}: {error}; set LABEL_STUDIO_URL"
    else:
        message = (
            f"expected Label Studio to answer at {url}, got {innermost(error)}: "
            "is it running, and is LABEL_STUDIO_URL its address as seen from here?"
        )
    return LabelStudioError(
        message,
        retryable=error_may_pass(error),
        refused_connection=is_refused_connection(error),
    )


def decoded(answer: requests.Response, url: str) -> Any:
    """Return the JSON of an answer from the Label Studio at `url`.

    Raises:
        LabelStudioError: the answer is a redirect, an error, or not JSON.
    """
    status = answer.status_code
    if answer.is_redirect and "login" in answer.headers["Location"].lower():
        raise LabelStudioError(
            f"expected Label Studio at {url}, got a redirect to a log-in page "
            f"({answer.headers['Location']}): let this machine past the page that guards it, or "
            "set LABEL_STUDIO_URL to its address behind that",
            retryable=True,
            status=status,
        )
    if answer.is_redirect:
        raise LabelStudioError(
            f"expected Label Studio at {url}, got a redirect to "
            f"{answer.headers['Location']}: set LABEL_STUDIO_URL to the final address",
            retryable=True,
            status=status,
        )
    request = f"{answer.request.method} {urlsplit(answer.url).path}"
    if not answer.ok:
        raise LabelStudioError(
            f"{url} answered {request} with {status}: {_explanation(answer)}",
            retryable=status_may_pass(status),
            status=status,
            retry_after=retry_after(answer.headers),
        )
    try:
        return answer.json()
    except requests.JSONDecodeError:
        raise LabelStudioError(
            f"expected JSON from {url} for {request}, got "
            f"{answer.headers.get('Content-Type', 'no type')}: is it Label Studio's address, and "
            "no log-in page before it?",
            retryable=True,
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
