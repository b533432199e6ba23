"""Client of Label Studio's API: both kinds of token, projects, tasks and predictions."""

import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from pydantic import Field

from backend.labelstudio.addresses import Location, locate
from backend.labelstudio.errors import (
    WHAT_TO_SET,
    LabelStudioError,
    decoded,
    malformed,
    no_answer,
    watched,
)
from backend.labelstudio.fixed_headers import FixedHeaders
from backend.labelstudio.schemas import Prediction, PredictionJson, Project, Task
from backend.labelstudio.shapes import (
    Id,
    JsonList,
    Shape,
    ShapeError,
    ShapeT,
    Text,
    describe,
    read,
)
from backend.labelstudio.task_listing import ListedTasks, TaskPage, by_id, condition
from backend.labelstudio.time_limits import LimitedSession
from backend.labelstudio.user_agent import user_agent
from backend.outages.breaker import Breaker, NoBreaker

ACCESS_TOKEN_LIFE = 240.0  # s; Label Studio's own limit is 5 minutes
TIMEOUT = 10.0  # s
WHOLE_TIMEOUT, WRITE_TIMEOUT = 120.0, 14.0  # s, for a whole answer, and for one to what is sent
PAGE = 100
PROJECTS, TASKS, PREDICTIONS = "/api/projects/", "/api/tasks/", "/api/predictions/"
TOKENS = "/api/token/refresh/"

logger = logging.getLogger(__name__)


class _ProjectPage(Shape):
    """A page of the list of projects.

    Attributes:
        results: raw, so that a malformed project does not hide the others.
        next: raw; empty on the last page.
    """

    results: JsonList = Field(description="a list of projects")
    next: Any = None


class _Created(Shape):
    """Anything that was just created."""

    id: Id = Field(description="a whole number")


class _AccessToken(Shape):
    """The short-lived token for a personal access token."""

    access: Text = Field(description="a token", repr=False)


class LabelStudio:
    """A Label Studio, accessed as one user; safe for use by several threads at once.

    Args:
        url: where it is reached from here.
        token: legacy token or personal access token; None for no authorization.
        known_as: other addresses that it gives itself, such as the `hostname` of /setup; files at
            these addresses are fetched from `url`.
        timeout: for connecting, and for each pause within an answer; s.
        agent: the User-Agent of requests.
        breaker: is told how requests end, and refuses them while Label Studio is away.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        known_as: Sequence[str] = (),
        timeout: float = TIMEOUT,
        agent: str = user_agent(None),
        breaker: Breaker | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.breaker: Breaker = breaker or NoBreaker()
        self._service = f"API of {self.url}"
        self._known_as = [name.rstrip("/") for name in known_as]
        self._token = token
        self._timeout = timeout
        self._lock = threading.Lock()
        self._access: tuple[str, float] | None = None  # token, and when it must be renewed
        self.agent = agent
        self._session = LimitedSession()
        self._session.headers["User-Agent"] = agent
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
        if not self._is_personal():
            return self._authorization()
        with watched(self.breaker, self._service, LabelStudioError):
            return self._authorization()

    def _authorization(self) -> dict[str, str]:
        if self._token is None:
            return {}
        if not self._is_personal():
            return {"Authorization": f"Token {self._token}"}
        with self._lock:
            if self._access is None or time.monotonic() >= self._access[1]:
                self._access = (self._exchange(), time.monotonic() + ACCESS_TOKEN_LIFE)
            return {"Authorization": f"Bearer {self._access[0]}"}

    def project(self, project_id: int) -> Project:
        """Fetch a project with its labelling configuration."""
        return self.fetch(Project, f"/api/projects/{project_id}/")

    def projects(self) -> Iterator[Project]:
        """Fetch every project that the token's user may see, page by page."""
        page: int | None = 1
        while page:
            found = self.fetch(_ProjectPage, PROJECTS, page=page, page_size=PAGE)
            yield from _rows(Project, found.results, PROJECTS, self.url)
            page = page + 1 if found.next else None

    def tasks(self, project_id: int) -> Iterator[Task]:
        """Fetch every task of a project with its predictions and annotations; see `task_pages`."""
        for page in self.task_pages(project_id):
            yield from page.tasks

    def task_pages(self, project_id: int, after: int = 0) -> Iterator[TaskPage]:
        """Fetch the tasks of a project with predictions and annotations, in the order of their ids.

        Each page begins behind the last id of the one before. So none is left out and none comes
        twice while tasks are created and deleted, and a listing can be gone on with later.
        Image addresses are as they were imported, also those in cloud storage.

        Args:
            after: the last id that is known already.

        Raises:
            LabelStudioError: as `get`, or the answer does not begin behind that id.
        """
        while True:
            found = self._listed(project_id, condition("id", "greater", after), PAGE)
            try:
                last_id = found.last_id(after)
            except ShapeError as error:
                raise malformed(error, f"GET {TASKS}", self.url) from None
            is_last = last_id == after or found.total <= len(found.tasks)
            yield TaskPage(list(_rows(Task, found.tasks, TASKS, self.url)), last_id, is_last)
            if is_last:
                return
            after = last_id

    def first_without_annotation(self, project_id: int, limit: int) -> list[Task]:
        """Fetch the tasks that have no annotation yet, in the order of their ids.

        Label Studio's label stream hands them out in this order, unless the project chooses random
        sampling.
        """
        found = self._listed(project_id, condition("total_annotations", "equal", 0), limit)
        return list(_rows(Task, found.tasks[:limit], TASKS, self.url))

    def _listed(self, project_id: int, wanted: Mapping[str, object], limit: int) -> ListedTasks:
        """Fetch the first tasks that meet a condition, with all that belongs to them."""
        more = {"query": by_id(wanted), "fields": "all", "resolve_uri": "false"}
        return self.fetch(ListedTasks, TASKS, project=project_id, page_size=limit, **more)

    def task(self, project_id: int, task_id: int, **more: str) -> Task | None:
        """Fetch a task as the project's list has it; None if it is deleted.

        Args:
            more: further parameters of the list; with fields="all", it has its annotations.

        A request for the task alone would make Label Studio ask its ML backend for a prediction.
        """
        found = self._chosen(project_id, [task_id], **more)
        return _read(Task, found[0], f"GET {TASKS}", self.url) if found else None

    def tasks_by_id(self, project_id: int, task_ids: Sequence[int], **more: str) -> dict[int, Task]:
        """Fetch several tasks by one request; see `task`.

        Returns:
            Id → task; deleted ones are missing.
        """
        found = self._chosen(project_id, task_ids, **more)
        return {task.id: task for task in _rows(Task, found, TASKS, self.url)}

    def _chosen(self, project_id: int, task_ids: Sequence[int], **more: str) -> JsonList:
        """Fetch some tasks, raw; none of them exists if Label Studio answers 404."""
        chosen = {"selectedItems": {"all": False, "included": list(task_ids)}}
        try:
            found = self.fetch(
                ListedTasks,
                TASKS,
                project=project_id,
                query=json.dumps(chosen),
                resolve_uri="false",  # image addresses in the same form as in /predict
                page_size=len(task_ids),
                **more,
            )
        except LabelStudioError as error:
            if error.status != 404:
                raise
            return []
        return found.tasks

    def change_task_data(self, task_id: int, data: Mapping[str, object]) -> None:
        """Replace the data of a task as a whole."""
        self.send("PATCH", f"{TASKS}{task_id}/", {"data": dict(data)})

    def predictions(self, task_id: int) -> list[Prediction]:
        """Fetch every prediction of a task."""
        return self.fetch_all(Prediction, PREDICTIONS, task=task_id)

    def create_prediction(self, task_id: int, prediction: PredictionJson) -> int:
        """Store a prediction, even if there is an identical one already.

        Returns:
            Its primary key in Label Studio.
        """
        made = self.post(PREDICTIONS, {**prediction, "task": task_id})
        return _read(_Created, made, f"POST {PREDICTIONS}", self.url).id

    def change_prediction(self, prediction_id: int, prediction: PredictionJson) -> None:
        """Replace the content of a prediction, which keeps its primary key."""
        self.send("PATCH", f"{PREDICTIONS}{prediction_id}/", prediction)

    def fetch(self, shape: type[ShapeT], path: str, **parameters: str | int) -> ShapeT:
        """Fetch an API path whose answer is one object.

        Raises:
            LabelStudioError: as `get`, or the answer is malformed.
        """
        return _read(shape, self.get(path, **parameters), f"GET {path}", self.url)

    def fetch_all(self, shape: type[ShapeT], path: str, **parameters: str | int) -> list[ShapeT]:
        """Fetch an API path whose answer is a list; malformed members are logged and left out.

        Raises:
            LabelStudioError: as `get`, or the answer is no list.
        """
        found = self.get(path, **parameters)
        if not isinstance(found, list):
            error = ShapeError(f"expected a list, got {describe(found)}")
            raise malformed(error, f"GET {path}", self.url)
        return list(_rows(shape, found, path, self.url))

    def get(self, path: str, **parameters: str | int) -> Any:
        """Fetch an API path and return the decoded JSON.

        Raises:
            LabelStudioError: no answer, an error status, or a body that is not JSON.
        """
        return self._request("GET", path, params=parameters)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """Post JSON to an API path and return the decoded JSON; errors as of `get`."""
        return self.send("POST", path, body)

    def send(self, method: str, path: str, body: Mapping[str, object]) -> Any:
        """Send JSON to an API path and return the decoded JSON; errors as of `get`."""
        return self._request(method, path, json=dict(body))

    def _is_personal(self) -> bool:
        """Return whether the token is a personal one: a JWT of three parts, not a hex string."""
        return self._token is not None and self._token.count(".") == 2

    def _exchange(self) -> str:
        answer = self._send("POST", TOKENS, {}, json={"refresh": self._token})
        if answer.status_code in (401, 403):
            raise LabelStudioError(
                f"expected {self.url} to accept the personal access token, got "
                f"{answer.status_code}: it was revoked or belongs to another Label Studio; "
                f"{WHAT_TO_SET}",
                retryable=True,
                status=answer.status_code,
            )
        found = decoded(answer, self.url)
        return _read(_AccessToken, found, f"POST {TOKENS}", self.url).access

    def _request(self, method: str, path: str, **content: Any) -> Any:
        with watched(self.breaker, self._service, LabelStudioError):
            answer = self._send(method, path, self._authorization(), **content)
            if answer.status_code == 401 and self._is_personal():
                with self._lock:
                    self._access = None
                answer = self._send(method, path, self._authorization(), **content)
            return decoded(answer, self.url)

    def _send(
        self, method: str, path: str, headers: dict[str, str], **content: Any
    ) -> requests.Response:
        try:
            return self._session.request_within(
                WHOLE_TIMEOUT if method == "GET" else WRITE_TIMEOUT,
                method,
                self.url + path,
                auth=FixedHeaders(headers),
                timeout=self._timeout,
                **content,
            )
        except (requests.RequestException, ValueError) as error:
            raise no_answer(error, self.url) from None


def _read(shape: type[ShapeT], value: object, request: str, url: str) -> ShapeT:
    """Return an answer, or a part of it, as a typed value.

    Raises:
        LabelStudioError: it is malformed.
    """
    try:
        return read(shape, value)
    except ShapeError as error:
        raise malformed(error, request, url) from None


def _rows(shape: type[ShapeT], values: Iterable[object], path: str, url: str) -> Iterator[ShapeT]:
    """Yield the members of a list; log those that are malformed, and leave them out."""
    for value in values:
        try:
            row = _read(shape, value, f"GET {path}", url)
        except LabelStudioError as error:
            logger.warning("Left out one of a list: %s", error)
        else:
            yield row
