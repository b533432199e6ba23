"""Settings of one project from Label Studio's own dialog, and suggestions resent with them."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
import requests
from playwright.sync_api import Page
from serving import ROOT, Serving, eventually, serving

from backend.commands.demo_project import DemoProject, find_or_create, label_config
from backend.labelstudio.schemas import Prediction
from backend.local.label_studio import LocalLabelStudio
from drawings.drawing import draw

TASKS = 3


@pytest.fixture
def project(label_studio: LocalLabelStudio, tmp_path: Path) -> DemoProject:
    """Drawn vehicles, not connected to any backend yet."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(TASKS):
        drawing = draw(index, (320, 240), seed=23)
        cv2.imwrite(str(folder / f"{index}.png"), drawing.image[..., ::-1])
    found = find_or_create(label_studio, "Settings", label_config(("saloon", "van", "bus")))
    found.upload(folder)
    return found


@pytest.fixture
def backend(environment: dict[str, str], tmp_path: Path) -> Iterator[Serving]:
    """A backend of its own."""
    with serving(tmp_path / "backend", environment) as backend:
        assert eventually(backend.health), backend.words()
        yield backend


class Dialog:
    """The dialog in which a project is connected to a backend."""

    def __init__(self, page: Page, project: DemoProject) -> None:
        self.page = page
        page.goto(f"{project.label_studio.url}/projects/{project.id}/settings/ml")

    def connect(self, url: str, extra_params: str) -> None:
        self.page.get_by_text("Connect Model", exact=True).last.click()
        self.page.fill("input[name=title]", "keypoints")
        self.page.fill("input[name=url]", url)
        self.save(extra_params)

    def save(self, extra_params: str) -> None:
        self.page.fill("textarea[name=extra_params]", extra_params)
        self.page.get_by_text("Validate and Save", exact=True).click()


def settings(backend: Serving) -> list[Any]:
    projects = requests.get(backend.url, timeout=10).json()["projects"]
    return [each["settings"] for each in projects]


def call(project: DemoProject, method: str, path: str, **body: Any) -> Any:
    studio = project.label_studio
    answer = requests.request(
        method, f"{studio.url}{path}", headers=studio.headers, timeout=60, **body
    )
    assert answer.ok, answer.text
    return answer.json()


def prelabel_again(project: DemoProject, backend: Serving) -> str:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "backend", "prelabel"),
            *("--project", str(project.id), "--again"),
        ],
        env=dict(backend.environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_settings_from_the_dialog_hold_for_the_suggestions_and_are_refused_with_a_reason(
    page: Page, project: DemoProject, backend: Serving
) -> None:
    dialog = Dialog(page, project)
    dialog.connect(backend.url, '{"treshold": 0.4}')
    page.get_by_text("unknown key 'treshold' (did you mean threshold?)").first.wait_for()
    assert settings(backend) == [{}]

    dialog = Dialog(page, project)
    dialog.connect(backend.url, '{"max_keypoints": 3}')
    assert eventually(lambda: settings(backend) == [{"max_keypoints": 3}]), backend.words()

    project.retrieve_predictions()
    health = backend.health()
    assert health is not None
    version = health["model_version"]

    def predictions() -> dict[int, Prediction]:
        found = project.predictions(version)
        return {task: each for task, [each] in found.items()}

    assert eventually(lambda: len(predictions()) == TASKS, 60), backend.words()
    before = predictions()
    assert [each.keypoints for each in before.values()] == [3] * TASKS

    begun, *others = before
    draft = {"result": before[begun].result, "lead_time": 3.0}
    call(project, "POST", f"/api/tasks/{begun}/drafts", json=draft)
    [row] = call(project, "GET", f"/api/ml?project={project.id}")
    more = {name: row[name] for name in ("url", "title", "project", "auth_method")}
    more["extra_params"] = '{"max_keypoints": 5}'
    call(project, "PATCH", f"/api/ml/{row['id']}", json=more)
    said: list[str] = []

    def is_settled() -> bool:
        """Resend; Label Studio gets 10 s to store what a reply brought before it may change."""
        said.append(prelabel_again(project, backend))
        return "delivered just now" not in said[-1]

    assert eventually(is_settled, 60), said
    changed = re.findall(r"  (\d+) × changed\n", "".join(said))
    assert sum(map(int, changed)) == TASKS - 1, said
    assert "  1 × left as they are, because someone has begun\n" in said[-1]
    after = predictions()
    assert after[begun] == before[begun]
    for task in others:
        assert (after[task].id, after[task].keypoints) == (before[task].id, 5)
