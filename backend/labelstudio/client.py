"""Client of Label Studio's API: both kinds of token, projects, tasks and predictions."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests

from backend.labelstudio.addresses import Location, locate
from backend.retries import error_may_pass, status_may_pass

ACCESS_TOKEN_LIFE = 240.0  # s; Label Studio's own limit is 5 minutes
PAGE = 100

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


class LabelStudio:
    """A Label Studio, accessed as one user; safe for use by several threads at once.

    Args:
        url: where it is reached from here.
        token: legacy token or personal access token; None for no authorization.
        known_as: other addresses that it gives itself, such as the `hostname` of /setup; files at
            these addresses are fetched from `url`.
        timeout: for connecting, and for each pause within an answer; s.
    """

    def __init__(
        self, url: str, token: str | None, *, known_as: Sequence[str] = (), timeout: float = 10
    ) -> None:
        self.url = url.rstrip("/")
        self._known_as = [name.rstrip("/") for name in known_as]
        self._token = token
        self._timeout = timeout
        self._lock = threading.Lock()
        self._access: tuple[str, float] | None = None  # token, and when it must be renewed
        self._session = requests.Session()
        # With a session cookie Label Studio would ask for a CSRF token as well.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def location(self, address: str) -> Location:
        """Find where a path, or an address that Label Studio gave, is reached from here."""
        return locate(address, self.url, self._known_as)

    def authorization(self) -> dict[str, str]:
        """Return the headers that authorize a request; never send them to another origin.

        Raises:
            LabelStudioError: the personal access token could not be exchanged for an access token.
        """
        if self._token is None:
            return {}
        if not self._is_personal():
            return {"Authorization": f"Token {self._token}"}
        with self._lock:
            if self._access is None or time.monotonic() >= self._access[1]:
                self._access = (self._exchange(), time.monotonic() + ACCESS_TOKEN_LIFE)
            return {"Authorization": f"Bearer {self._access[0]}"}

    def task(self, task_id: int) -> dict[str, Any]:
        """Fetch a task with its annotations, drafts and predictions.

        If the task has no prediction, Label Studio asks its ML backend for one before it answers.
        """
        found: dict[str, Any] = self.get(f"/api/tasks/{task_id}/")
        return found

    def predictions(self, task_id: int) -> list[dict[str, Any]]:
        """Fetch every prediction of a task."""
        found: list[dict[str, Any]] = self.get("/api/predictions/", task=task_id)
        return found

    def create_prediction(self, task_id: int, prediction: Mapping[str, Any]) -> int:
        """Store a prediction, even if there is an identical one already.

        Returns:
            Its primary key in Label Studio.
        """
        made = self.post("/api/predictions/", {**prediction, "task": task_id})
        return int(made["id"])

    def project(self, project_id: int) -> dict[str, Any]:
        """Fetch a project with its labelling configuration."""
        found: dict[str, Any] = self.get(f"/api/projects/{project_id}/")
        return found

    def projects(self) -> Iterator[dict[str, Any]]:
        """Fetch every project that the token's user may see, page by page."""
        page: int | None = 1
        while page:
            found = self.get("/api/projects/", page=page, page_size=PAGE)
            yield from found["results"]
            page = page + 1 if found.get("next") else None

    def tasks(self, project_id: int) -> Iterator[dict[str, Any]]:
        """Fetch every task of a project with its predictions and annotations, page by page.

        Image addresses are as they were imported, also those in cloud storage. If tasks are created
        or deleted meanwhile, others may move to a page that was read already and be missed.
        """
        page, left = 1, 1
        while left > 0:
            try:
                found = self.get(
                    "/api/tasks/",
                    project=project_id,
                    page=page,
                    page_size=PAGE,
                    fields="all",
                    resolve_uri="false",
                )
            except LabelStudioError as error:
                if error.status == 404 and page > 1:  # the page's tasks were deleted meanwhile
                    return
                raise
            yield from found["tasks"]
            left = found["total"] - page * PAGE
            page += 1

    def get(self, path: str, **parameters: str | int) -> Any:
        """Fetch an API path and return the decoded JSON.

        Raises:
            LabelStudioError: no answer, an error status, or a body that is not JSON.
        """
        return self._request("GET", path, params=parameters)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Post JSON to an API path and return the decoded JSON of the answer.

        Raises:
            LabelStudioError: no answer, an error status, or a body that is not JSON.
        """
        return self._request("POST", path, json=body)

    def _is_personal(self) -> bool:
        """Return whether the token is a personal one: a JWT of three parts, not a hex string."""
        return self._token is not None and self._token.count(".") == 2

    def _exchange(self) -> str:
        answer = self._send("POST", "/api/token/refresh/", {}, json={"refresh": self._token})
        if answer.status_code in (401, 403):
            raise LabelStudioError(
                f"expected {self.url} to accept the personal access token, got "
                f"{answer.status_code}: it was revoked or belongs to another Label Studio; "
                f"{WHAT_TO_SET}",
                retryable=False,
                status=answer.status_code,
            )
        return str(_decoded(answer, self.url)["access"])

    def _request(self, method: str, path: str, **content: Any) -> Any:
        answer = self._send(method, path, self.authorization(), **content)
        if answer.status_code == 401 and self._is_personal():
            with self._lock:
                self._access = None
            answer = self._send(method, path, self.authorization(), **content)
        return _decoded(answer, self.url)

    def _send(
        self, method: str, path: str, headers: dict[str, str], **content: Any
    ) -> requests.Response:
        try:
            return self._session.request(
                method,
                self.url + path,
                auth=_Headers(headers),
                allow_redirects=False,
                timeout=self._timeout,
                **content,
            )
        except (requests.RequestException, ValueError) as error:
            raise _no_answer(error, self.url) from None


def _no_answer(error: Exception, url: str) -> LabelStudioError:
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


def _decoded(answer: requests.Response, url: str) -> Any:
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


class _Headers(requests.auth.AuthBase):
    """Authorization headers that `requests` does not replace with those of ~/.netrc."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


def innermost(error: BaseException) -> str:
    """Return the root cause of an error of `requests`, as the operating system words it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__
