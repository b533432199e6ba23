"""A small Label Studio on the loopback: tasks, files, predictions, and what may go wrong."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback_server import Answer, Request, as_json, loopback_server

TOKEN = "0123456789abcdef0123456789abcdef01234567"
PROJECT = 3
UID = "3.1795347724"
CONFIG = (
    '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
    '<Label value="nose"/><Label value="bus"/></KeyPointLabels></View>'
)


@dataclass
class LabelStudioFake:
    """Its contents, and its faults, each of which lasts until it is reset.

    Attributes:
        predictions: as it stores them, each with its primary key.
        fails_after_storing: number of predictions that it stores before it answers 500.
        drafts: task → drafts of all annotators.
        loses_changes: it answers 500 to every change of a prediction, and does not make it.
        down: it answers 503 to everything.
        refuses: it accepts no token.
        slow: s before it answers a request for predictions.
        hands_out: while it is cleared, requests for files wait.
        unavailable: paths of files that it answers 503 for.
        config: labelling configuration of the project.
        image_seconds: s before it answers a request for a file.
        answer_instead: what it answers every request for a file with, if anything.
        hangs: until it is cleared again, s before it answers a request of its API.
    """

    url: str = ""
    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    predictions: list[dict[str, Any]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    fails_after_storing: int = 0
    down: bool = False
    refuses: bool = False
    slow: float = 0.0
    unavailable: set[str] = field(default_factory=set)
    drafts: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    loses_changes: bool = False
    config: str = CONFIG
    image_seconds: float = 0.0
    answer_instead: Answer | None = None
    hangs: float = 0.0
    hands_out: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.hands_out.set()
        self._lock = threading.Lock()

    def add_task(self, task_id: int, image: bytes) -> dict[str, Any]:
        """Import an image; returns the task as /predict sends it."""
        path = f"/data/upload/{PROJECT}/image-{task_id}.png"
        self.files[path] = image
        task = {"id": task_id, "project": PROJECT, "data": {"image": path}, "annotations": []}
        self.tasks[task_id] = task
        return task

    def annotate(self, task_id: int, choice: str, **more: Any) -> None:
        """Submit an annotation that chooses something in `class`, the choices of the image."""
        value = {"choices": [choice]}
        region = {"from_name": "class", "to_name": "image", "type": "choices", "value": value}
        annotation = {"id": len(self.requests), "was_cancelled": False, "result": [region]}
        self.tasks[task_id]["annotations"].append(annotation | more)

    def store(self, task_id: int, prediction: dict[str, Any]) -> int:
        """Add a prediction, whether or not there is one like it."""
        with self._lock:
            key = len(self.requests) * 1000 + len(self.predictions) + 1
            self.predictions.append({**prediction, "task": task_id, "id": key})
        return key

    def store_answers(self, tasks: list[dict[str, Any]], results: list[Any]) -> None:
        """Do with an answer of /predict what Label Studio does."""
        assert len(results) == len(tasks)
        for task, result in zip(tasks, results, strict=True):
            if result:
                self.store(task["id"], result)

    def of_task(self, task_id: int) -> list[dict[str, Any]]:
        """The predictions of a task."""
        with self._lock:
            return [each for each in self.predictions if each["task"] == task_id]

    def forget(self) -> None:
        """Delete every prediction."""
        with self._lock:
            self.predictions.clear()

    def asked(self, method: str, path: str) -> list[Request]:
        """The received requests of one kind."""
        return [
            each
            for each in self.requests
            if each.method == method and urlsplit(each.path).path == path
        ]

    def handle(self, request: Request, _: BaseHTTPRequestHandler) -> Answer:
        """Answer as Label Studio 1.23.2 does."""
        self.requests.append(request)
        if self.down:
            return as_json({"detail": "down"}, 503)
        if self.refuses or request.headers.get("authorization") != f"Token {TOKEN}":
            return as_json({"detail": "Invalid token."}, 401)
        place = urlsplit(request.path)
        if place.path in self.unavailable:
            return as_json({"detail": "busy"}, 503)
        if place.path in self.files:
            self.hands_out.wait(60)
            time.sleep(self.image_seconds)
            if self.answer_instead is not None:
                return self.answer_instead
            return Answer(body=self.files[place.path], headers={"Content-Type": "image/png"})
        if self.hangs:
            time.sleep(self.hangs)
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        if place.path == f"/api/projects/{PROJECT}/":
            made_at = datetime.fromtimestamp(int(UID.partition(".")[2]), UTC).isoformat()
            about = {"id": PROJECT, "title": "Vehicles", "created_at": made_at}
            return as_json(about | {"label_config": self.config, "task_number": len(self.tasks)})
        if place.path == "/api/tasks/" and request.method == "GET":
            return self._list_tasks(query)
        if place.path == "/api/predictions/":
            time.sleep(self.slow)
            return self._create(request) if request.method == "POST" else self._list(query)
        if request.method == "PATCH" and place.path.startswith("/api/predictions/"):
            return self._change(request, int(place.path.split("/")[3]))
        if request.method == "PATCH" and place.path.startswith("/api/tasks/"):
            return self._change_task(request, int(place.path.split("/")[3]))
        if place.path.startswith("/api/tasks/") and place.path.endswith("/drafts"):
            return as_json(self.drafts.get(int(place.path.split("/")[3]), []))
        return as_json({"detail": "Not found."}, 404)

    def _list_tasks(self, query: dict[str, str]) -> Answer:
        asked = json.loads(query["query"])
        if "filters" in asked:
            [wanted] = asked["filters"]["items"]
            return self._list_filtered(wanted, int(query["page_size"]))
        included = asked["selectedItems"]["included"]
        found = [
            self.tasks[task_id]
            for task_id in included
            if task_id in self.tasks and self.tasks[task_id]["project"] == int(query["project"])
        ]
        if query.get("fields") == "all":
            found = [{**task, "predictions": self.of_task(task["id"])} for task in found]
        return as_json({"tasks": found, "total": len(found)})

    def _list_filtered(self, wanted: dict[str, Any], size: int) -> Answer:
        tasks = [task for _, task in sorted(self.tasks.items())]
        if wanted["filter"] == "filter:tasks:id":
            found = [task for task in tasks if task["id"] > wanted["value"]]
        else:
            found = [task for task in tasks if not task["annotations"]]
        page = [{**task, "predictions": self.of_task(task["id"])} for task in found[:size]]
        return as_json({"tasks": page, "total": len(found)})

    def _list(self, query: dict[str, str]) -> Answer:
        return as_json(self.of_task(int(query["task"])))

    def _change(self, request: Request, prediction_id: int) -> Answer:
        [found] = [each for each in self.predictions if each["id"] == prediction_id]
        if self.loses_changes:
            return as_json({"detail": "database is locked"}, 500)
        found.update(request.json)
        if self.fails_after_storing > 0:
            self.fails_after_storing -= 1
            return as_json({"detail": "database is locked"}, 500)
        return as_json(found)

    def _change_task(self, request: Request, task_id: int) -> Answer:
        self.tasks[task_id].update(request.json)
        return as_json(self.tasks[task_id])

    def _create(self, request: Request) -> Answer:
        body = request.json
        if body["task"] not in self.tasks:
            return as_json({"validation_errors": {"task": ["Invalid pk"]}}, 400)
        key = self.store(body.pop("task"), body)
        if self.fails_after_storing > 0:
            self.fails_after_storing -= 1
            return as_json({"detail": "database is locked"}, 500)
        return as_json({"id": key}, 201)


@contextmanager
def label_studio_fake() -> Iterator[LabelStudioFake]:
    """Serve one until the block ends."""
    fake = LabelStudioFake()
    with loopback_server(fake.handle) as server:
        fake.url = server.url
        yield fake
