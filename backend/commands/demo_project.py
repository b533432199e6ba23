"""A Label Studio project for the demonstration: made once, found again at the next start."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import requests
from tqdm import tqdm

from backend.local.label_studio import LocalLabelStudio

# What browsers show, Label Studio takes and the detector reads.
IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})

# Label Studio takes 100 files and 250 MB a request.
_FILES_A_REQUEST = 50
_BYTES_A_REQUEST = 100_000_000

# With more classes than this, points are named after none of them.
_MOST_LABELS = 12

_COLOURS = ("#e6194b", "#4363d8", "#3cb44b", "#f58231", "#911eb4", "#008080", "#9a6324", "#f032e6")

_TIMEOUT_SECONDS = 120.0


def label_config(classes: Sequence[str]) -> str:
    """Configuration for points on an image, and for the class of the whole image.

    Points are named after the classes where these are few, else plainly `keypoint`.
    """
    few = len(classes) <= _MOST_LABELS
    points = "".join(
        f"<Label value={quoteattr(label)} background={quoteattr(_COLOURS[i % len(_COLOURS)])}/>"
        for i, label in enumerate(classes if few else ["keypoint"])
    )
    choices = "".join(f"<Choice value={quoteattr(name)}/>" for name in dict.fromkeys(classes))
    # Above the image, where they are seen without scrolling.
    layout = 'showInline="true"' if few else 'layout="select"'
    return (
        f'<View><Choices name="class" toName="image" choice="single" {layout}>{choices}</Choices>'
        f'<KeyPointLabels name="keypoint" toName="image">{points}</KeyPointLabels>'
        '<Image name="image" value="$image" zoom="true"/></View>'
    )


@dataclass(frozen=True)
class DemoProject:
    """A project of a local Label Studio, by its number there."""

    label_studio: LocalLabelStudio
    id: int

    @property
    def url(self) -> str:
        """Where a person sees it."""
        return f"{self.label_studio.url}/projects/{self.id}/data"

    def tasks(self) -> dict[int, str]:
        """Number of each task → the path of its image."""
        tasks: dict[int, str] = {}
        for page in _pages(self.label_studio, f"/api/tasks?project={self.id}", "tasks"):
            tasks.update({task["id"]: task["data"]["image"] for task in page})
        return tasks

    def upload(self, folder: Path) -> None:
        """Upload those images of a folder that are not there yet; a bar shows how far it is.

        Raises:
            RuntimeError: there are no images.
        """
        there = {uploaded_name(path) for path in self.tasks().values()}
        named = {_unambiguous_name(image, folder): image for image in find_images(folder)}
        missing = [(name, image) for name, image in named.items() if name not in there]
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
        connected = _get(self.label_studio, f"/api/ml?project={self.id}")
        if [row["url"] for row in connected] == [backend]:
            return
        for row in connected:
            _call(self.label_studio, "DELETE", f"/api/ml/{row['id']}")
        for hook in _get(self.label_studio, f"/api/webhooks/?project={self.id}"):
            if hook["url"].endswith("/webhook"):
                _call(self.label_studio, "DELETE", f"/api/webhooks/{hook['id']}/")
        self._post("/api/ml", json={"project": self.id, "url": backend, "title": "keypoints"})

    def retrieve_predictions(self) -> None:
        """Ask for the predictions of all tasks in one batch, as the Data Manager's action does."""
        path = f"/api/dm/actions?id=retrieve_tasks_predictions&project={self.id}"
        self._post(path, json={"selectedItems": {"all": True, "excluded": []}})

    def predictions(self, model_version: str) -> dict[int, list[dict[str, Any]]]:
        """Number of each task that has any → its predictions of one model version."""
        found: dict[int, list[dict[str, Any]]] = {}
        for prediction in _get(self.label_studio, f"/api/predictions?task__project={self.id}"):
            if prediction["model_version"] == model_version:
                found.setdefault(prediction["task"], []).append(prediction)
        return found

    def _post(self, path: str, **body: Any) -> Any:
        return _call(self.label_studio, "POST", path, **body).json()


def find_or_create(label_studio: LocalLabelStudio, title: str, config: str) -> DemoProject:
    """The project with this title and this configuration, new where there is none."""
    for page in _pages(label_studio, "/api/projects?", "results"):
        for project in page:
            if (project["title"], project["label_config"]) == (title, config):
                return DemoProject(label_studio, project["id"])
    body = {"title": title, "label_config": config}
    return DemoProject(
        label_studio, _call(label_studio, "POST", "/api/projects", json=body).json()["id"]
    )


def find_images(folder: Path) -> list[Path]:
    """Every image in a folder and below, in the order of their names, wherever they are.

    Raises:
        RuntimeError: there is none.
    """
    found = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    images = sorted(found, key=lambda path: (path.name, path))
    if not images:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise RuntimeError(f"expected images ({kinds}) in {folder}, found none")
    return images


def _unambiguous_name(image: Path, folder: Path) -> str:
    """Name for the upload: the same for the same image, and left as it is by Label Studio."""
    digest = hashlib.sha256(image.read_bytes()).hexdigest()[:8]
    place = str(image.relative_to(folder).with_suffix(""))
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', place)[-60:]}-{digest}{image.suffix.lower()}"


def uploaded_name(path: str) -> str:
    """Name that an upload had: Label Studio puts eight characters and a hyphen before it."""
    return path.rpartition("/")[2].partition("-")[2]


def _chunks(images: Sequence[tuple[str, Path]]) -> Iterator[list[tuple[str, Path]]]:
    """Split into parts that Label Studio takes in one request."""
    chunk: list[tuple[str, Path]] = []
    size = 0
    for name, image in images:
        grown = size + image.stat().st_size
        if chunk and (len(chunk) == _FILES_A_REQUEST or grown > _BYTES_A_REQUEST):
            yield chunk
            chunk, grown = [], image.stat().st_size
        chunk.append((name, image))
        size = grown
    if chunk:
        yield chunk


def _pages(label_studio: LocalLabelStudio, path: str, key: str) -> Iterator[list[dict[str, Any]]]:
    page, total = 1, 0
    while True:
        answer = _get(label_studio, f"{path}&page={page}&page_size=100")
        yield answer[key]
        page, total = page + 1, total + len(answer[key])
        if not answer[key] or total >= answer.get("count", answer.get("total", 0)):
            return


def _get(label_studio: LocalLabelStudio, path: str) -> Any:
    return _call(label_studio, "GET", path).json()


def _call(label_studio: LocalLabelStudio, method: str, path: str, **body: Any) -> requests.Response:
    """Call its API.

    Raises:
        RuntimeError: it answered with an error; its words in one line.
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
