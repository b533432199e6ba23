"""`label-studio-ml` from PyPI with our model, between a real Label Studio and a real worker."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest
import requests
from editor import open_label_stream
from playwright.sync_api import Page
from serving import (
    LABEL_STUDIO_ML,
    PLAIN_ENVIRONMENT,
    ROOT,
    Serving,
    eventually,
    serving,
)
from studio_api import api

from backend.commands.demo_project import DemoProject, find_or_create, label_config
from backend.local import embedded_redis
from backend.local.label_studio import LocalLabelStudio, free_port
from backend.local.processes import end, spawn
from drawings.drawing import draw

KEYPOINTS = 10
CONFIG = label_config(("saloon", "van", "bus"))
MODEL = f"{ROOT / 'backend/hosts/label_studio_ml_model.py'}:KeypointDetector"


@dataclass(frozen=True)
class Hosted:
    """What `make label-studio-ml` starts.

    Attributes:
        url: address of `label-studio-ml`.
        backend: our web process, the workers and Redis beside it.
    """

    url: str
    backend: Serving


def is_up(url: str) -> bool:
    try:
        return bool(requests.get(f"{url}/health", timeout=5).json()["status"] == "UP")
    except requests.RequestException:
        return False


@contextmanager
def running(
    command: list[str], port: int, folder: Path, variables: dict[str, str]
) -> Iterator[str]:
    """Run a server on a port until the block ends; its address."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = spawn([*command, "--port", str(port)], cwd=folder, env=variables, output=output)
    try:
        url = f"http://127.0.0.1:{port}"
        assert eventually(lambda: is_up(url)), log.read_text()
        yield url
    finally:
        end(process, grace=5)


@pytest.fixture(scope="module")
def hosted(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hosted]:
    """A backend of its own, as `make label-studio-ml` starts it."""
    port = free_port()
    options = ("--label-studio-ml", str(LABEL_STUDIO_ML), "--label-studio-ml-port", str(port))
    with serving(tmp_path_factory.mktemp("hosted"), environment, *options) as backend:
        url = f"http://127.0.0.1:{port}"
        assert eventually(lambda: is_up(url), 120), backend.words()
        yield Hosted(url, backend)


@pytest.fixture(scope="module")
def started_by_hand(
    hosted: Hosted, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A further server, made by the commands of `label-studio-ml` alone; its address."""
    folder, port = tmp_path_factory.mktemp("by-hand"), free_port()
    variables = PLAIN_ENVIRONMENT | environment
    variables |= {
        "DATA_DIR": str(hosted.backend.folder),
        "REDIS_URL": embedded_redis.address(hosted.backend.folder),
        "PYTHONPATH": str(ROOT),
        "PATH": f"{LABEL_STUDIO_ML.absolute() / 'bin'}:{os.environ['PATH']}",
    }
    command = str(LABEL_STUDIO_ML.absolute() / "bin/label-studio-ml")
    subprocess.run(
        [command, "init", "keypoints", "--script", MODEL],
        cwd=folder,
        env=variables,
        check=True,
        timeout=60,
    )
    start = [command, "start", "keypoints", "--host", "127.0.0.1"]
    with running(start, port, folder, variables) as url:
        yield url


@pytest.fixture(scope="module")
def project(
    label_studio: LocalLabelStudio, hosted: Hosted, tmp_path_factory: pytest.TempPathFactory
) -> DemoProject:
    """Two drawn vehicles, connected to `label-studio-ml`."""
    folder = tmp_path_factory.mktemp("images")
    for index in range(2):
        drawing = draw(index, (640, 480), seed=13)
        cv2.imwrite(str(folder / f"{index}.png"), drawing.image[..., ::-1])
    project = find_or_create(label_studio, "Hosted by label-studio-ml", CONFIG)
    project.upload(folder)
    run_backend("connect", "--project", str(project.id), "--backend", hosted.url, of=hosted)
    return project


def run_backend(*arguments: str, of: Hosted) -> None:
    """Run a command of `python -m backend` with the settings of a backend."""
    command = [sys.executable, "-m", "backend", *arguments]
    subprocess.run(command, cwd=ROOT, env=dict(of.backend.environment), check=True, timeout=120)


def counted(hosted: Hosted, project: DemoProject) -> dict[str, int]:
    answer = requests.get(f"{hosted.backend.url}/agreement?project={project.id}", timeout=60)
    points: dict[str, int] = answer.json()["overall"]["points"]
    return points


def test_suggestions_are_drawn_and_corrections_are_counted(
    page: Page, project: DemoProject, hosted: Hosted, tmp_path: Path
):
    editor = open_label_stream(page, project.url)
    dots = editor.wait_for_dots(KEYPOINTS)
    suggested = {each["id"] for each in editor.regions() if each["type"] == "keypointlabels"}
    assert len(suggested) == KEYPOINTS
    page.screenshot(path=tmp_path / "drawn.png")

    def to_others(dot) -> float:
        return min((dot.x - o.x) ** 2 + (dot.y - o.y) ** 2 for o in dots if o is not dot)

    moved, deleted = sorted(dots, key=to_others, reverse=True)[:2]
    editor.drag(moved, right=18, down=-12)
    page.mouse.click(deleted.x, deleted.y)
    page.keyboard.press("Backspace")
    editor.wait_for_dots(KEYPOINTS - 1)
    page.screenshot(path=tmp_path / "edited.png")
    editor.submit()

    assert eventually(lambda: counted(hosted, project)["suggested"] == KEYPOINTS)
    found = counted(hosted, project)
    assert (found["accepted"], found["moved"], found["deleted"]) == (KEYPOINTS - 2, 1, 1)
    written = tmp_path / "report.html"
    run_backend("report", "--project", str(project.id), "--out", str(written), of=hosted)
    assert f"What annotators did with {KEYPOINTS} suggestions" in written.read_text()


def test_a_batch_arrives_once_for_each_task_in_the_version_that_setup_tells(
    project: DemoProject, hosted: Hosted, label_studio: LocalLabelStudio
):
    [connected] = api(label_studio, "GET", f"/api/ml?project={project.id}")
    version = hosted.backend.health()["model_version"]
    assert (connected["state"], connected["model_version"]) == ("CO", version)
    project.retrieve_predictions()
    assert eventually(lambda: len(project.predictions(version)) == 2, 120)
    project.retrieve_predictions()
    assert [len(each) for each in project.predictions(version).values()] == [1, 1]


def test_the_same_image_gets_the_same_points_in_each_host(
    hosted: Hosted,
    started_by_hand: str,
    backend: Serving,
    label_studio: LocalLabelStudio,
    tmp_path: Path,
):
    """`backend` has a database, a worker and a web process of its own.

    Label Studio has none of the answers, so that each server gives the whole prediction.
    """
    cv2.imwrite(str(tmp_path / "0.png"), draw(3, (640, 480), seed=13).image[..., ::-1])
    apart = find_or_create(label_studio, "Connected to nothing", CONFIG)
    apart.upload(tmp_path)
    [number] = apart.tasks()
    task = api(label_studio, "GET", f"/api/tasks/{number}/")
    connection = {"project": apart.uid(), "schema": CONFIG, "hostname": label_studio.url}
    body = {"tasks": [task], "project": apart.uid(), "label_config": CONFIG}

    def answer(url: str) -> Any:
        requests.post(f"{url}/setup", json=connection, timeout=60).raise_for_status()
        found: list[Any] = []

        def arrived() -> bool:
            sent = requests.post(f"{url}/predict", json=body, timeout=100)
            assert sent.ok, sent.text
            found[:] = sent.json()["results"]
            return found != [[]]

        assert eventually(arrived, 120)
        return found[0]

    own = answer(backend.url)
    assert len([each for each in own["result"] if each["type"] == "keypointlabels"]) == KEYPOINTS
    assert answer(hosted.url) == own
    assert answer(started_by_hand) == own


def test_an_annotation_that_is_deleted_counts_no_more(
    project: DemoProject, hosted: Hosted, label_studio: LocalLabelStudio
):
    """1.0.9 by itself would hand on no such event."""
    for task in project.tasks():
        for annotation in api(label_studio, "GET", f"/api/tasks/{task}/annotations/"):
            api(label_studio, "DELETE", f"/api/annotations/{annotation['id']}/")
    assert eventually(lambda: counted(hosted, project)["suggested"] == 0)


@pytest.fixture
def limited(tmp_path: Path, unread_weights: Path, redis_url: str) -> Iterator[str]:
    """A server of `label-studio-ml` that takes one project; its address."""
    variables = PLAIN_ENVIRONMENT | {
        "DATA_DIR": str(tmp_path),
        "REDIS_URL": redis_url,
        "LABEL_STUDIO_URL": "http://127.0.0.1:1",
        "MODEL_WEIGHTS": str(unread_weights),
        "MAX_PROJECTS": "1",
        "PYTHONPATH": str(ROOT),
    }
    python = str(LABEL_STUDIO_ML.absolute() / "bin/python")
    server = [python, "-m", "backend.hosts.label_studio_ml_server"]
    with running(server, free_port(), tmp_path, variables) as url:
        yield url


def test_a_request_beyond_the_limits_is_refused_with_the_reason(limited: str):
    def set_up(uid: str) -> requests.Response:
        body = {"project": uid, "schema": CONFIG}
        return requests.post(f"{limited}/setup", json=body, timeout=60)

    assert set_up("1.1795347724").status_code == 200
    refused = set_up("2.1795347724")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert "MAX_PROJECTS=1" in refused.json()["error"]
    assert refused.reason == refused.json()["error"]
    assert set_up("1.1795347724").status_code == 200, "others go on"
    task = {"id": 1, "data": {"image": "/data/upload/1/a.png"}}
    body = {"tasks": [task], "project": "2.1795347724", "label_config": CONFIG}
    assert requests.post(f"{limited}/predict", json=body, timeout=60).status_code == 429
