"""Client of the part of CVAT's API that suggestions and verdicts need; CVAT 2.80."""

from collections.abc import Iterator, Mapping, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Literal

import requests

from backend.hosts.cvat_schemas import (
    About,
    Annotations,
    DataMeta,
    Job,
    Label,
    Page,
    Task,
    User,
)
from backend.labelstudio.cvat_frames import CVAT_NOT_SET
from backend.labelstudio.errors import innermost
from backend.labelstudio.fixed_headers import FixedHeaders
from backend.labelstudio.shapes import Json, ShapeError, ShapeT, read
from backend.labelstudio.time_limits import LimitedSession
from backend.labelstudio.user_agent import user_agent
from backend.settings import Settings

PAGE = 100
WHOLE_TIMEOUT = 300.0  # s, for a whole answer
# s, for each pause within one: CVAT answers when changed annotations are stored.
TIMEOUT = 60.0
SUPPORTED = "2.80"  # other versions are spoken to all the same; this one was read
HINTS = {
    401: "set CVAT_ACCESS_TOKEN to a personal access token, which you make on your profile in CVAT",
    403: "the user of CVAT_ACCESS_TOKEN may not do this: use the token of one who may",
    404: "there is none with this number, or the user of CVAT_ACCESS_TOKEN may not see it",
}


class CvatError(Exception):
    """Something cannot be done with CVAT; the message says why, and what to do."""


class Cvat:
    """A CVAT server, accessed as one user.

    Args:
        url: where it is reached from here.
        token: personal access token.
    """

    def __init__(self, url: str, token: str, *, agent: str = user_agent(None)) -> None:
        self.url = url.rstrip("/")
        self._authorization = {"Authorization": f"Bearer {token}"}
        self._session = LimitedSession()
        self._session.headers["User-Agent"] = agent
        self._session.headers["Accept"] = "application/vnd.cvat+json, application/json"
        # With a session cookie CVAT would ask for a CSRF token as well.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def version(self) -> str:
        """Return the version of the server."""
        return self._fetch(About, "/api/server/about").version

    def user(self) -> str:
        """Return the name of the user that the token belongs to."""
        return self._fetch(User, "/api/users/self").username

    def task(self, task_id: int) -> Task:
        """Fetch a task."""
        return self._fetch(Task, f"/api/tasks/{task_id}")

    def labels(self, task: Task) -> list[Label]:
        """Fetch the labels of a task, which may be those of its project."""
        found = self._list(Label, "/api/labels", task)
        return [label for label in found if not label.has_parent]

    def frames(self, task_id: int) -> DataMeta:
        """Fetch which frames a task has."""
        return self._fetch(DataMeta, f"/api/tasks/{task_id}/data/meta")

    def jobs(self, task: Task) -> list[Job]:
        """Fetch the jobs of annotators, without those that measure the quality of others."""
        found = self._list(Job, "/api/jobs", task)
        return [job for job in found if job.type == "annotation"]

    def annotations(self, job_id: int) -> Annotations:
        """Fetch the annotations of a job."""
        return self._fetch(Annotations, _annotations(job_id))

    def change(
        self, job_id: int, action: Literal["create", "delete"], shapes: Sequence[Json]
    ) -> Annotations:
        """Create or delete shapes of a job, all or none of them; others stay as they are.

        Returns:
            The shapes; those created have their ids, in the order of `shapes`.
        """
        body = {"version": 0, "tags": [], "shapes": list(shapes), "tracks": []}
        return self._fetch(
            Annotations, _annotations(job_id), "PATCH", params={"action": action}, json=body
        )

    def _list(self, shape: type[ShapeT], path: str, task: Task) -> list[ShapeT]:
        """Fetch all that belongs to a task, in the organization of the task."""
        within = {"org": ""} if task.organization is None else {"org_id": task.organization}
        return [
            self._read(shape, each, f"GET {path}")
            for page in self._pages(path, {"task_id": task.id, **within})
            for each in page.results
        ]

    def _pages(self, path: str, filters: Mapping[str, object]) -> Iterator[Page]:
        number = 1
        while True:
            page = self._fetch(Page, path, params={**filters, "page": number, "page_size": PAGE})
            yield page
            if not page.next:
                return
            number += 1

    def _fetch(self, shape: type[ShapeT], path: str, method: str = "GET", **content: Any) -> ShapeT:
        """Send a request and return the answer as a typed value.

        Raises:
            CvatError: no answer, an error status, or an answer of another shape.
        """
        try:
            answer = self._session.request_within(
                WHOLE_TIMEOUT,
                method,
                self.url + path,
                auth=FixedHeaders(self._authorization),
                timeout=TIMEOUT,
                **content,
            )
        except (requests.RequestException, ValueError) as error:
            raise CvatError(
                f"expected CVAT at {self.url}, got no answer: {innermost(error)}: start it, or "
                "correct CVAT_URL"
            ) from None
        request = f"{method} {path}"
        if answer.status_code not in (200, 201):
            raise CvatError(self._refused(answer, request))
        try:
            found = answer.json()
        except ValueError:
            raise CvatError(
                f"expected JSON from {self.url} ({request}), got "
                f"{answer.text[:60]!r}: is CVAT_URL the address of CVAT?"
            ) from None
        return self._read(shape, found, request)

    def _read(self, shape: type[ShapeT], value: object, request: str) -> ShapeT:
        try:
            return read(shape, value)
        except ShapeError as error:
            raise CvatError(
                f"{error}, from {self.url} ({request}): this was written for CVAT {SUPPORTED}"
            ) from None

    def _refused(self, answer: requests.Response, request: str) -> str:
        hint = HINTS.get(answer.status_code, "")
        said = "" if hint else f" and {answer.text[:200]!r}"
        return (
            f"expected an answer from {self.url} ({request}), got status {answer.status_code}"
            f"{said}{': ' + hint if hint else ''}"
        )


def is_supported(version: str) -> bool:
    """Return whether a server is of the version that this was written for."""
    return version.startswith(f"{SUPPORTED}.")


def cvat_of(settings: Settings) -> Cvat:
    """Return a client of the CVAT that the settings name.

    Raises:
        CvatError: they name none.
    """
    if settings.cvat_url is None or settings.cvat_access_token is None:
        raise CvatError(CVAT_NOT_SET)
    token = settings.cvat_access_token.get_secret_value()
    return Cvat(settings.cvat_url, token, agent=user_agent(settings.contact))


def _annotations(job_id: int) -> str:
    return f"/api/jobs/{job_id}/annotations/"
