"""A small CVAT on the loopback, strict about what it is sent: version 2.80 of its API.

An unknown path, a parameter or a field that CVAT does not have, and a shape that does not fit its
task are errors. A person in its editor is played by `move`, `relabel`, `delete` and `draw`, which
do what the editor and the server of CVAT do with ids and sources.
"""

import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback_server import Answer, Request, as_json, loopback_server
from PIL import Image

TOKEN = "prefix.0123456789abcdef"
TASK = 7
BEAK, TAIL, BOX = 11, 12, 13
BIRD, HEAD, FOOT = 20, 21, 22
ANNA = 5
CHUNK_SIZE = 2

SHAPE_FIELDS = {
    *("type", "label_id", "frame", "points", "occluded", "outside", "z_order", "rotation"),
    *("id", "group", "source", "attributes", "score", "elements"),
}
SOURCES = ("auto", "semi-auto", "manual", "file", "consensus")


class Malformed(Exception):
    """A body or a parameter that CVAT answers 400 for."""


def label(number: int, name: str, kind: str, **more: Any) -> dict[str, Any]:
    """A label, as the API lists it."""
    more.setdefault("sublabels", [])
    return {
        "id": number,
        "name": name,
        "type": kind,
        "color": "#ff0000",
        "attributes": [],
        "has_parent": False,
        **more,
    }


def part(number: int, name: str) -> dict[str, Any]:
    """A label within a skeleton."""
    made = label(number, name, "points", has_parent=True)
    del made["sublabels"]
    return made


POINTS = [
    label(BEAK, "beak", "points"),
    label(TAIL, "tail", "points"),
    label(BOX, "box", "rectangle"),
]
SKELETON = [label(BIRD, "bird", "skeleton", sublabels=[part(HEAD, "head"), part(FOOT, "foot")])]


@dataclass
class CvatFake:
    """Its one task, and its faults.

    Attributes:
        images: encoded frames, in order; all are JPEG or PNG files.
        jobs: number → first frame, last frame, state, stage, assignee.
        shapes: number of the job → its shapes, raw.
        refuses: it accepts no token.
        fails: (method, beginning of a path) → number of requests that it answers 500, from now on.
        meanwhile: called before a request is answered, with it.
    """

    url: str = ""
    images: list[bytes] = field(default_factory=list)
    labels: list[dict[str, Any]] = field(default_factory=lambda: [dict(each) for each in POINTS])
    jobs: dict[int, dict[str, Any]] = field(default_factory=dict)
    shapes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    deleted_frames: list[int] = field(default_factory=list)
    refuses: bool = False
    fails: dict[tuple[str, str], int] = field(default_factory=dict)
    meanwhile: Any = None
    version: str = "2.80.0"
    requests: list[Request] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._next_id = 1000
        self._now = datetime.now(UTC)

    def add_job(self, number: int, start: int, stop: int, **more: Any) -> None:
        """Add a job of frames `start` to `stop`, both included."""
        found = {"start": start, "stop": stop, "state": "new", "stage": "annotation"}
        self.jobs[number] = found | {"assignee": ANNA, "type": "annotation"} | more
        self.shapes[number] = []
        self._touch(number)

    def shapes_on(self, frame: int, job: int | None = None) -> list[dict[str, Any]]:
        """The shapes on a frame; of all jobs, or of one."""
        jobs = self.shapes if job is None else {job: self.shapes[job]}
        return [each for shapes in jobs.values() for each in shapes if each["frame"] == frame]

    # A person in the editor

    def finish(self, job: int) -> None:
        """Menu, Finish the job."""
        self.jobs[job]["state"] = "completed"
        self._touch(job)

    def move(self, shape_id: int, dx: float, dy: float) -> tuple[float, float]:
        """Drag a point towards the middle of a frame of 64 × 48 px; returns where it then is.

        Of a skeleton, whose element it may be, the whole then counts as changed.
        """
        with self._lock:
            whole, moved = self._find(shape_id)
            x, y = moved["points"][:2]
            moved["points"] = [x + (dx if x < 32 else -dx), y + (dy if y < 24 else -dy)]
            self._changed(whole)
            return tuple(moved["points"])

    def relabel(self, shape_id: int, label_id: int) -> None:
        """Choose another label for a point."""
        with self._lock:
            whole, _ = self._find(shape_id)
            whole["label_id"] = label_id
            self._changed(whole)

    def delete(self, shape_id: int) -> None:
        """Delete a shape."""
        with self._lock:
            for job, shapes in self.shapes.items():
                if any(each["id"] == shape_id for each in shapes):
                    self.shapes[job] = [each for each in shapes if each["id"] != shape_id]
                    self._touch(job)
                    return
        raise KeyError(shape_id)

    def draw(self, job: int, frame: int, label_id: int, x: float, y: float) -> int:
        """Draw a point by hand; returns its id."""
        shape = {"type": "points", "label_id": label_id, "frame": frame, "points": [x, y]}
        with self._lock:
            [made] = self._create(job, [shape | {"source": "manual"}])
            return int(made["id"])

    def undo_deletion(self, job: int, shape: dict[str, Any]) -> None:
        """Undo the deletion of a shape that was saved already: it gets a new id."""
        without_id = {
            name: value for name, value in shape.items() if name not in ("id", "elements")
        }
        with self._lock:
            self._create(job, [without_id])

    def _find(self, shape_id: int) -> tuple[dict[str, Any], dict[str, Any]]:
        for shapes in self.shapes.values():
            for whole in shapes:
                for each in (whole, *whole["elements"]):
                    if each["id"] == shape_id:
                        return whole, each
        raise KeyError(shape_id)

    def _changed(self, whole: dict[str, Any]) -> None:
        for each in (whole, *whole["elements"]):
            each["source"] = "manual" if each["source"] == "manual" else "semi-auto"
        job = next(job for job, shapes in self.shapes.items() if whole in shapes)
        self._touch(job)

    def _touch(self, job: int) -> None:
        self._now += timedelta(milliseconds=1)
        self.jobs[job]["updated"] = max(self._now, datetime.now(UTC))

    # The API

    def handle(self, request: Request, _: BaseHTTPRequestHandler) -> Answer:
        with self._lock:
            self.requests.append(request)
            if self.meanwhile is not None:
                self.meanwhile(request)
            for (method, path), left in self.fails.items():
                if request.method == method and request.path.startswith(path) and left:
                    self.fails[method, path] -= 1
                    return as_json({"detail": "database is locked"}, 500)
            try:
                return self._answer(request)
            except Malformed as error:
                self.violations.append(f"{request.method} {request.path}: {error}")
                return as_json({"detail": str(error)}, 400)

    def _answer(self, request: Request) -> Answer:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, True).items()}
        if parts.path == "/api/server/about" and request.method == "GET":
            about = {"name": "CVAT", "description": "", "logo_url": "", "subtitle": ""}
            return as_json(about | {"version": self.version})
        if request.headers.get("authorization") != f"Bearer {TOKEN}" or self.refuses:
            return as_json({"detail": "Invalid token."}, 401)
        for (method, pattern), (allowed, answer) in self._routes().items():
            found = re.fullmatch(pattern, parts.path)
            if found and method == request.method:
                unknown = query.keys() - allowed
                if unknown:
                    raise Malformed(f"unknown parameters {sorted(unknown)}")
                return answer(query, request, *map(int, found.groups()))
        self.violations.append(f"{request.method} {request.path}: no such path")
        return as_json({"detail": "Not found."}, 404)

    def _routes(self) -> dict[tuple[str, str], tuple[set[str], Any]]:
        pages = {"page", "page_size", "org", "org_id", "task_id"}
        return {
            ("GET", r"/api/users/self"): (set(), lambda *_: as_json({"id": 9, "username": "bert"})),
            ("GET", r"/api/tasks/(\d+)"): (set(), self._task),
            ("GET", r"/api/labels"): (pages, self._list_labels),
            ("GET", r"/api/jobs"): (pages, self._list_jobs),
            ("GET", r"/api/tasks/(\d+)/data/meta"): (set(), self._meta),
            ("GET", r"/api/tasks/(\d+)/data/"): ({"type", "number", "quality"}, self._data),
            ("GET", r"/api/jobs/(\d+)/annotations/"): (set(), self._annotations),
            ("PATCH", r"/api/jobs/(\d+)/annotations/"): ({"action"}, self._patch_job),
            ("PATCH", r"/api/tasks/(\d+)/annotations/"): ({"action"}, self._patch_task),
            ("PUT", r"/api/tasks/(\d+)/annotations/"): (set(), self._put_task),
        }

    def _task(self, _: Any, __: Request, number: int) -> Answer:
        if number != TASK:
            return as_json({"detail": "Not found."}, 404)
        moment = max((job["updated"] for job in self.jobs.values()), default=self._now)
        counts = {"count": len(self.jobs), "completed": 0, "validation": 0, "url": ""}
        return as_json(
            {
                "id": TASK,
                "name": "birds",
                "project_id": None,
                "organization": None,
                "size": len(self.images),
                "mode": "annotation",
                "dimension": "2d",
                "data_chunk_size": CHUNK_SIZE,
                "data_original_chunk_type": "imageset",
                "data_compressed_chunk_type": "imageset",
                "updated_date": moment.isoformat(),
                "jobs": counts,
                "labels": {"url": ""},
                **self.task,
            }
        )

    def _list_labels(self, query: dict[str, str], _: Request) -> Answer:
        return self._page(query, self.labels)

    def _list_jobs(self, query: dict[str, str], _: Request) -> Answer:
        listed = [
            {
                "id": number,
                "task_id": TASK,
                "type": job["type"],
                "state": job["state"],
                "stage": job["stage"],
                "assignee": {"id": job["assignee"], "username": "anna"}
                if job["assignee"]
                else None,
                "start_frame": job["start"],
                "stop_frame": job["stop"],
                "updated_date": job["updated"].isoformat(),
            }
            for number, job in sorted(self.jobs.items())
        ]
        return self._page(query, listed)

    def _page(self, query: dict[str, str], listed: list[dict[str, Any]]) -> Answer:
        if query.get("task_id") != str(TASK):
            raise Malformed("expected the number of the task in task_id")
        organization = self.task.get("organization")
        within = query.get("org") if organization is None else query.get("org_id")
        if within != str(organization or ""):
            return as_json({"count": 0, "next": None, "previous": None, "results": []})
        size, page = int(query.get("page_size", 10)), int(query.get("page", 1))
        rows, more = listed[(page - 1) * size : page * size], len(listed) > page * size
        following = f"{self.url}/next?page={page + 1}" if more else None
        return as_json({"count": len(listed), "next": following, "previous": None, "results": rows})

    def _meta(self, _: Any, __: Request, number: int) -> Answer:
        frames = []
        for index, content in enumerate(self.images):
            with Image.open(io.BytesIO(content)) as image:
                size = {"width": image.width, "height": image.height}
            frames.append({"name": f"bird-{index}.jpg", "related_files": 0, **size})
        return as_json(
            {
                "chunks_updated_date": self._now.isoformat(),
                "chunk_size": CHUNK_SIZE,
                "size": len(frames),
                "image_quality": 70,
                "start_frame": 0,
                "stop_frame": len(frames) - 1,
                "frame_filter": "",
                "frames": frames,
                "deleted_frames": self.deleted_frames,
            }
        )

    def _data(self, query: dict[str, str], _: Request, number: int) -> Answer:
        if query.get("quality") != "original" or not query.get("number", "").isdigit():
            raise Malformed("expected quality=original and a number")
        index = int(query["number"])
        if query.get("type") == "frame" and index < len(self.images):
            return Answer(200, self.images[index], {"Content-Type": "image/jpeg"})
        members = self.images[index * CHUNK_SIZE : (index + 1) * CHUNK_SIZE]
        if query.get("type") != "chunk" or not members:
            return as_json({"detail": "Not found."}, 404)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for place, content in enumerate(members):
                archive.writestr(f"{place:06}.jpeg", content)
        return Answer(200, packed.getvalue(), {"Content-Type": "application/zip"})

    def _annotations(self, _: Any, __: Request, job: int) -> Answer:
        if job not in self.jobs:
            return as_json({"detail": "Not found."}, 404)
        return as_json({"version": 0, "tags": [], "shapes": self.shapes[job], "tracks": []})

    def _patch_job(self, query: dict[str, str], request: Request, job: int) -> Answer:
        shapes = _shapes_of(request)
        if query.get("action") == "create":
            made = self._create(job, shapes)
        elif query.get("action") == "delete":
            made = self._delete(job, shapes)
        else:
            raise Malformed("expected the action create or delete")
        return as_json({"version": 0, "tags": [], "shapes": made, "tracks": []})

    def _patch_task(self, query: dict[str, str], request: Request, _: int) -> Answer:
        if query.get("action") != "create":
            raise Malformed("expected the action create")
        return self._store(_shapes_of(request))

    def _put_task(self, _: Any, request: Request, __: int) -> Answer:
        for job in self.shapes:
            self.shapes[job] = []
        return self._store(_shapes_of(request))

    def _store(self, shapes: list[dict[str, Any]]) -> Answer:
        made = []
        for job, facts in self.jobs.items():
            mine = [each for each in shapes if facts["start"] <= each["frame"] <= facts["stop"]]
            made += self._create(job, mine)
        return as_json({"version": 0, "tags": [], "shapes": made, "tracks": []})

    def _create(self, job: int, shapes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for each in shapes:
            self._check(job, each)
        made = [self._stored(each) for each in shapes]
        self.shapes[job] = sorted([*self.shapes[job], *made], key=lambda each: each["frame"])
        self._touch(job)
        return made

    def _delete(self, job: int, shapes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not all(isinstance(each.get("id"), int) for each in shapes):
            raise Malformed("expected the id of each shape to delete")
        for each in shapes:
            self._check(job, each)
        gone = {each["id"] for each in shapes}
        self.shapes[job] = [each for each in self.shapes[job] if each["id"] not in gone]
        self._touch(job)
        return shapes

    def _stored(self, shape: dict[str, Any]) -> dict[str, Any]:
        """What the server stores: defaults, an id, positions to 4 decimals."""
        self._next_id += 1
        defaults = {"occluded": False, "outside": False, "z_order": 0, "rotation": 0.0, "group": 0}
        stored = {**defaults, "attributes": [], "source": "manual", "score": 1.0, **shape}
        stored["id"] = self._next_id
        stored["points"] = [round(each, 4) for each in shape.get("points", [])]
        elements = [self._stored(each) for each in shape.get("elements", [])]
        return {**stored, "elements": elements}

    def _check(self, job: int, shape: dict[str, Any]) -> None:
        unknown = shape.keys() - SHAPE_FIELDS
        if unknown:
            raise Malformed(f"unknown fields {sorted(unknown)}")
        facts = self.jobs[job]
        if not facts["start"] <= shape["frame"] <= facts["stop"]:
            raise Malformed(f"frame {shape['frame']} is not in job {job}")
        known = {each["id"]: each for each in self.labels}
        parts = {each["id"] for one in self.labels for each in one["sublabels"]}
        if shape.get("source", "manual") not in SOURCES or not 0 <= shape.get("score", 1) <= 1:
            raise Malformed("expected a known source and a score from 0 to 1")
        if shape["type"] == "skeleton":
            own = known.get(shape["label_id"], {"sublabels": []})["sublabels"]
            found = [each["label_id"] for each in shape["elements"]]
            if sorted(found) != sorted(each["id"] for each in own) or not own:
                raise Malformed("expected an element for each label of the skeleton")
            for each in shape["elements"]:
                self._check_points(each, parts)
        else:
            if shape.get("elements"):
                raise Malformed("only a skeleton has elements")
            self._check_points(shape, set(known))

    def _check_points(self, shape: dict[str, Any], labels: set[int]) -> None:
        if shape["label_id"] not in labels:
            raise Malformed(f"label_id `{shape['label_id']}` is invalid")
        numbers = shape.get("points", [])
        if len(numbers) % 2 or not numbers or not all(isinstance(n, float | int) for n in numbers):
            raise Malformed("expected pairs of numbers")


def _shapes_of(request: Request) -> list[dict[str, Any]]:
    try:
        body = json.loads(request.body)
    except ValueError:
        raise Malformed("expected JSON") from None
    unknown = body.keys() - {"version", "tags", "shapes", "tracks", "intervals"}
    if unknown or body.get("tags") or body.get("tracks"):
        raise Malformed(f"expected shapes alone, got {sorted(body)}")
    shapes: list[dict[str, Any]] = body.get("shapes", [])
    return shapes


@contextmanager
def cvat_fake(images: list[bytes], *, skeleton: bool = False) -> Iterator[CvatFake]:
    """A CVAT with one task of these images, in one job."""
    fake = CvatFake(images=images)
    if skeleton:
        fake.labels = [dict(each) for each in SKELETON]
    fake.add_job(1, 0, len(images) - 1)
    with loopback_server(fake.handle) as server:
        fake.url = server.url
        yield fake
