"""The Label Studio project of the demonstration: created once, found again at the next start."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import requests
from tqdm import tqdm

from backend.commands.label_studio_records import AnnotatedTask
from backend.labelstudio.connection_records import MlBackend, Webhook
from backend.labelstudio.schemas import Prediction, Project, Task
from backend.labelstudio.shapes import Json, ShapeError, ShapeT, read
from backend.local.label_studio import LocalLabelStudio

# Formats that browsers show, Label Studio accepts and the detector reads.
IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})

# Label Studio accepts 100 files and 250 MB per request.
_FILES_PER_REQUEST = 50
_BYTES_PER_REQUEST = 100_000_000

# With more classes than this, keypoints have one label for all classes.
_MAX_LABELS = 12

_COLOURS = ("#e6194b", "#4363d8", "#3cb44b", "#f58231", "#911eb4", "#008080", "#9a6324", "#f032e6")

_TIMEOUT_SECONDS = 120.0

IMAGE_FIELD = "image"


def label_config(classes: Sequence[str]) -> str:
    """Return a configuration for keypoints and for the class of the whole image.

    The labels of keypoints are the classes if there are few, else just `keypoint`.
    """
    few = len(classes) <= _MAX_LABELS
    choices = "".join(f"<Choice value={quoteattr(name)}/>" for name in dict.fromkeys(classes))
    # Above the image, where they are visible without scrolling.
    layout = 'showInline="true"' if few else 'layout="select"'
    return (
        f'<View><Choices name="class" toName="image" choice="single" {layout}>{choices}</Choices>'
        f"{_keypoints(classes if few else ['keypoint'])}</View>"
    )


def landmark_config(landmarks: Sequence[str]) -> str:
    """Return a configuration for keypoints that are labelled with the names of landmarks."""
    return f"<View>{_keypoints(landmarks)}</View>"


def _keypoints(labels: Sequence[str]) -> str:
    points = "".join(
        f"<Label value={quoteattr(label)} background={quoteattr(_COLOURS[i % len(_COLOURS)])}/>"
        for i, label in enumerate(labels)
    )
    return (
        f'<KeyPointLabels name="keypoint" toName="image">{points}</KeyPointLabels>'
        f'<Image name="image" value="${IMAGE_FIELD}" zoom="true"/>'
    )


@dataclass(frozen=True)
class DemoProject:
    """A project of a local Label Studio."""

    label_studio: LocalLabelStudio
    id: int

    @property
    def url(self) -> str:
        """Address of the project's page."""
        return f"{self.label_studio.url}/projects/{self.id}/data"

    def tasks(self) -> dict[int, str]:
        """Return task id → path of its image."""
        path = f"/api/tasks?project={self.id}"
        tasks = [_read(Task, row, path) for row in _rows(self.label_studio, path, "tasks")]
        return {task.id: task.image_url(IMAGE_FIELD) or "" for task in tasks}

    def not_annotated(self) -> list[int]:
        """Return the tasks without a submitted annotation, ordered by id, as they are opened."""
        path = f"/api/tasks?project={self.id}"
        rows = _rows(self.label_studio, path, "tasks")
        tasks = [_read(AnnotatedTask, row, path) for row in rows]
        return sorted(task.id for task in tasks if not task.total_annotations)

    def uid(self) -> str:
        """Return the name under which Label Studio tells the backend of the project."""
        path = f"/api/projects/{self.id}/"
        return _read(Project, _get(self.label_studio, path), path).uid

    def annotate(self, task: int, regions: Sequence[Json]) -> None:
        """Submit an annotation of a task."""
        self._post(f"/api/tasks/{task}/annotations/", json={"result": regions})

    def upload(self, folder: Path) -> None:
        """Upload the images of a folder that the project does not have yet; show the progress.

        Raises:
            RuntimeError: the folder has no images.
        """
        uploaded = {uploaded_name(path) for path in self.tasks().values()}
        named = named_images(folder)
        missing = [(name, image) for name, image in named.items() if name not in uploaded]
        with tqdm(total=len(missing), desc="Uploading images", unit="image", leave=False) as bar:
            for chunk in _chunks(missing):
                with ExitStack() as stack:
                    files = {
                        name: (name, stack.enter_context(image.open("rb"))) for name, image in chunk
                    }
                    self._post(f"/api/projects/{self.id}/import", files=files)
                bar.update(len(chunk))

    def connect(self, backend: str) -> None:
        """Make `backend` the one ML backend of the project."""
        path = f"/api/ml?project={self.id}"
        connected = [_read(MlBackend, row, path) for row in _get(self.label_studio, path)]
        if [each.url for each in connected] == [backend]:
            return
        for each in connected:
            _call(self.label_studio, "DELETE", f"/api/ml/{each.id}")
        path = f"/api/webhooks/?project={self.id}"
        for webhook in [_read(Webhook, row, path) for row in _get(self.label_studio, path)]:
            if webhook.url.endswith("/webhook"):
                _call(self.label_studio, "DELETE", f"/api/webhooks/{webhook.id}/")
        self._post("/api/ml", json={"project": self.id, "url": backend, "title": "keypoints"})

    def retrieve_predictions(self, tasks: Collection[int] | None = None) -> None:
        """Retrieve predictions in one batch, as the Data Manager's action does.

        Args:
            tasks: ids; None for all tasks.
        """
        path = f"/api/dm/actions?id=retrieve_tasks_predictions&project={self.id}"
        everything = {"all": True, "excluded": []}
        chosen = everything if tasks is None else {"all": False, "included": list(tasks)}
        self._post(path, json={"selectedItems": chosen})

    def predictions(self, model_version: str) -> dict[int, list[Prediction]]:
        """Return task id → its predictions of one model version, for the tasks that have any."""
        found: dict[int, list[Prediction]] = {}
        path = f"/api/predictions?task__project={self.id}"
        for row in _get(self.label_studio, path):
            prediction = _read(Prediction, row, path)
            if prediction.model_version == model_version and prediction.task is not None:
                found.setdefault(prediction.task, []).append(prediction)
        return found

    def _post(self, path: str, **body: Any) -> Any:
        return _call(self.label_studio, "POST", path, **body).json()


def find_or_create(label_studio: LocalLabelStudio, title: str, config: str) -> DemoProject:
    """Return the project with this title and configuration; create it if there is none."""
    path = "/api/projects"
    for row in _rows(label_studio, f"{path}?", "results"):
        project = _read(Project, row, path)
        if (project.title, project.label_config) == (title, config):
            return DemoProject(label_studio, project.id)
    body = {"title": title, "label_config": config}
    created = _call(label_studio, "POST", path, json=body).json()
    return DemoProject(label_studio, _read(Project, created, path).id)


def find_images(folder: Path) -> list[Path]:
    """Return all images in a folder and below, ordered by name.

    Raises:
        RuntimeError: there are none.
    """
    found = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    images = sorted(found, key=lambda path: (path.name, path))
    if not images:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise RuntimeError(f"expected images ({kinds}) in {folder}, found none")
    return images


def named_images(folder: Path) -> Mapping[str, Path]:
    """Return name in Label Studio → image, for the images in a folder and below.

    Raises:
        RuntimeError: there are none.
    """
    return {_unambiguous_name(image, folder): image for image in find_images(folder)}


def _unambiguous_name(image: Path, folder: Path) -> str:
    """Return a name for the upload: the same at every start, and one that Label Studio keeps."""
    digest = hashlib.sha256(image.read_bytes()).hexdigest()[:8]
    place = str(image.relative_to(folder).with_suffix(""))
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', place)[-60:]}-{digest}{image.suffix.lower()}"


def uploaded_name(path: str) -> str:
    """Return the name of an uploaded file without Label Studio's prefix: 8 characters, a hyphen."""
    return path.rpartition("/")[2].partition("-")[2]


def _chunks(images: Sequence[tuple[str, Path]]) -> Iterator[list[tuple[str, Path]]]:
    """Split images into parts that Label Studio accepts in one request."""
    chunk: list[tuple[str, Path]] = []
    size = 0
    for name, image in images:
        grown = size + image.stat().st_size
        if chunk and (len(chunk) == _FILES_PER_REQUEST or grown > _BYTES_PER_REQUEST):
            yield chunk
            chunk, grown = [], image.stat().st_size
        chunk.append((name, image))
        size = grown
    if chunk:
        yield chunk


def _rows(label_studio: LocalLabelStudio, path: str, key: str) -> Iterator[Any]:
    """Return the JSON of every row of a listing, page by page."""
    page, total = 1, 0
    while True:
        answer = _get(label_studio, f"{path}&page={page}&page_size=100")
        yield from answer[key]
        page, total = page + 1, total + len(answer[key])
        if not answer[key] or total >= answer.get("count", answer.get("total", 0)):
            return


def _read(shape: type[ShapeT], value: object, path: str) -> ShapeT:
    """Return a part of an answer as a typed value.

    Raises:
        RuntimeError: it has another shape than Label Studio's.
    """
    try:
        return read(shape, value)
    except ShapeError as error:
        raise RuntimeError(
            f"{error} in the answer of Label Studio to {path}: install the version of "
            "requirements-label-studio.txt"
        ) from None


def _get(label_studio: LocalLabelStudio, path: str) -> Any:
    return _call(label_studio, "GET", path).json()


def _call(label_studio: LocalLabelStudio, method: str, path: str, **body: Any) -> requests.Response:
    """Call Label Studio's API and return the response.

    Raises:
        RuntimeError: it is an error, which the message repeats in one line.
    """
    response = requests.request(
        method,
        label_studio.url + path,
        headers=label_studio.headers,
        timeout=_TIMEOUT_SECONDS,
        **body,
    )
    if not response.ok:
        words = " ".join(response.text.split())[:300]
        raise RuntimeError(
            f"expected Label Studio to accept {method} {path}, got status {response.status_code}: "
            f"{words} (its log: {label_studio.log})"
        )
    return response
