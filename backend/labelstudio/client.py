"""Label Studio's API: both kinds of token, tasks, predictions, and which addresses are its own."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.util import parse_url

# Label Studio's access tokens live 5 minutes.
ACCESS_TOKEN_LIFE = 240.0

PAGE = 100

PASSING = {408, 425, 429}

WHAT_TO_SET = (
    "set LABEL_STUDIO_API_KEY to a token from Label Studio's Account & Settings page "
    "(a personal access token, or a legacy token where the organization allows them)"
)


class LabelStudioError(Exception):
    """Label Studio did not do what it was asked to; str() is a sentence for a person.

    Attributes:
        retryable: whether the same request may succeed later.
        status: of the answer; None where there was none.
    """

    def __init__(self, message: str, *, retryable: bool, status: int | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.status = status


class LabelStudio:
    """One Label Studio, as one user; may be used by several threads at once.

    Args:
        url: where it is reached from here.
        token: legacy token or personal access token; None for no authorization.
        known_as: other addresses that it gives itself, such as the `hostname` of /setup: what is
            said to lie there is looked for at `url`.
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

    def owns(self, url: str) -> bool:
        """Whether an address is of the same origin as `url`."""
        return _origin(self.url) is not None and _origin(url) == _origin(self.url)

    def locate(self, address: str) -> str:
        """Where a path, or an address that Label Studio gave, is reached from here."""
        if address.startswith("/"):
            return self._below_prefix(address)
        if not self.owns(address):
            for name in self._known_as:
                if _origin(name) is not None and _origin(name) == _origin(address):
                    path = parse_url(address).request_uri
                    return self._below_prefix(_without(urlsplit(name).path, path))
        return address

    def _below_prefix(self, path: str) -> str:
        """Label Studio writes a path with the prefix that it is served under, or without."""
        return self.url + _without(urlsplit(self.url).path, path)

    def authorization(self) -> dict[str, str]:
        """Headers that prove who asks; for this Label Studio's origin alone.

        Raises:
            LabelStudioError: a personal access token could not be exchanged.
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
        """A task with its annotations, drafts and predictions.

        To be asked for one that has no prediction makes Label Studio ask its backend for one.
        """
        found: dict[str, Any] = self.get(f"/api/tasks/{task_id}/")
        return found

    def predictions(self, task_id: int) -> list[dict[str, Any]]:
        """Every prediction of a task."""
        found: list[dict[str, Any]] = self.get("/api/predictions/", task=task_id)
        return found

    def create_prediction(self, task_id: int, prediction: Mapping[str, Any]) -> int:
        """Store a prediction, whether or not there is one like it; its primary key."""
        made = self.post("/api/predictions/", {**prediction, "task": task_id})
        return int(made["id"])

    def project(self, project_id: int) -> dict[str, Any]:
        """A project with its labelling configuration."""
        found: dict[str, Any] = self.get(f"/api/projects/{project_id}/")
        return found

    def projects(self) -> Iterator[dict[str, Any]]:
        """Every project that the token's user may see."""
        page: int | None = 1
        while page:
            found = self.get("/api/projects/", page=page, page_size=PAGE)
            yield from found["results"]
            page = page + 1 if found.get("next") else None

    def tasks(self, project_id: int) -> Iterator[dict[str, Any]]:
        """Every task of a project, with its predictions and annotations, page by page.

        Addresses in its data are as they were imported, also those in cloud storages.
        A task that is made or deleted meanwhile may shift others to a page that was read already.
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
                if error.status == 404 and page > 1:  # so many were deleted meanwhile
                    return
                raise
            yield from found["tasks"]
            left = found["total"] - page * PAGE
            page += 1

    def get(self, path: str, **parameters: str | int) -> Any:
        """The JSON at a path of the API.

        Raises:
            LabelStudioError: no answer, or another than 2xx in JSON.
        """
        return self._request("GET", path, params=parameters)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON that a path of the API answers to some.

        Raises:
            LabelStudioError: no answer, or another than 2xx in JSON.
        """
        return self._request("POST", path, json=body)

    def _is_personal(self) -> bool:
        """Personal access tokens are JWTs, three parts joined by dots; legacy ones are hex."""
        return self._token is not None and self._token.count(".") == 2

    def _exchange(self) -> str:
        answer = self._send("POST", "/api/token/refresh/", {}, json={"refresh": self._token})
        if answer.status_code in (401, 403):
            raise LabelStudioError(
                f"expected {self.url} to accept the personal access token, got "
                f"{answer.status_code}: it was revoked or is of another Label Studio; "
                f"{WHAT_TO_SET}",
                retryable=False,
                status=answer.status_code,
            )
        return str(self._read(answer)["access"])

    def _request(self, method: str, path: str, **content: Any) -> Any:
        answer = self._send(method, path, self.authorization(), **content)
        if answer.status_code == 401 and self._is_personal():
            with self._lock:
                self._access = None
            answer = self._send(method, path, self.authorization(), **content)
        return self._read(answer)

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
        except requests.exceptions.SSLError as error:
            raise LabelStudioError(
                f"expected a certificate of {self.url} that can be trusted, got "
                f"{innermost(error)}: set REQUESTS_CA_BUNDLE to a file with its authority's",
                retryable=False,
            ) from None
        except ValueError as error:
            raise LabelStudioError(
                f"expected the address of Label Studio, got {self.url}: {error}; "
                "set LABEL_STUDIO_URL",
                retryable=False,
            ) from None
        except requests.RequestException as error:
            raise LabelStudioError(
                f"expected Label Studio to answer at {self.url}, got {innermost(error)}: "
                "is it running, and is LABEL_STUDIO_URL its address as seen from here?",
                retryable=True,
            ) from None

    def _read(self, answer: requests.Response) -> Any:
        status = answer.status_code
        if answer.is_redirect:
            raise LabelStudioError(
                f"expected Label Studio at {self.url}, got a redirect to "
                f"{answer.headers['Location']}: set LABEL_STUDIO_URL to the final address",
                retryable=False,
                status=status,
            )
        what = f"{answer.request.method} {urlsplit(answer.url).path}"
        if not answer.ok:
            raise LabelStudioError(
                f"{self.url} answered {what} with {status}: {self._explain(answer)}",
                retryable=status in PASSING or status >= 500,
                status=status,
            )
        try:
            return answer.json()
        except requests.JSONDecodeError:
            raise LabelStudioError(
                f"expected JSON from {self.url} for {what}, got "
                f"{answer.headers.get('Content-Type', 'no type')}: is it Label Studio's address?",
                retryable=False,
                status=status,
            ) from None

    def _explain(self, answer: requests.Response) -> str:
        said = _detail(answer)
        if answer.status_code == 401 and "legacy" in said:
            return (
                "the organization has switched legacy tokens off, and the token that Label Studio "
                f"itself passes to backends is one; {WHAT_TO_SET}"
            )
        if answer.status_code == 401:
            return f"{said or 'not allowed'}; {WHAT_TO_SET}"
        return said or answer.reason or "no reason given"


class _Headers(requests.auth.AuthBase):
    """Authorization that `requests` does not replace by what ~/.netrc says."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


def _detail(answer: requests.Response) -> str:
    """What Label Studio says of an error, if it says it in its usual form."""
    try:
        said = answer.json()
    except requests.JSONDecodeError:
        return ""
    if not isinstance(said, dict):
        return ""
    more = said.get("validation_errors")
    return f"{said.get('detail', '')} {more or ''}".strip(" .")[:500]


def innermost(error: BaseException) -> str:
    """The reason at the bottom of an error of `requests`, in the system's own words."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__


def _without(prefix: str, path: str) -> str:
    return path[len(prefix) :] if path.startswith(f"{prefix}/") else path


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port as the connection will have them; None for what is no web address.

    Read by the parser that the connection uses: another one finds another host in addresses such
    as `http://elsewhere\\@label-studio/`, and the token would go there.
    """
    try:
        parts = parse_url(url)
    except ValueError:
        return None
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme or "")
    return (parts.scheme, parts.host, port) if parts.scheme and parts.host and port else None
