"""Class labels in a real Label Studio, "Start training", and suggestions of the new model."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import pytest
import requests
from serving import Serving, eventually, serving

from backend.commands.demo_project import DemoProject, find_or_create, label_config, uploaded_name
from backend.local.label_studio import LocalLabelStudio
from drawings.drawing import class_of, draw

IMAGES = 60
SUGGESTED = 20  # so many tasks get suggestions, by the old model and by the new one
CLASSES = ("saloon", "van", "bus")


@pytest.fixture
def project(label_studio: LocalLabelStudio, tmp_path: Path) -> DemoProject:
    """Drawings of three types, whose file names tell the type."""
    folder = tmp_path / "images"
    folder.mkdir()
    indices = [index for index in range(10 * IMAGES) if class_of(index) in CLASSES][:IMAGES]
    for index in indices:
        drawing = draw(index, (160, 120), seed=17)
        path = folder / f"{class_of(index)}-{index}.png"
        cv2.imwrite(str(path), drawing.image[..., ::-1])
    project = find_or_create(label_studio, "Training", label_config(CLASSES))
    project.upload(folder)
    return project


@pytest.fixture
def backend(environment: dict[str, str], tmp_path: Path):
    """A backend of its own, so that no other test sees the new model."""
    with serving(tmp_path / "backend", environment) as backend:
        assert eventually(backend.health), backend.words()
        yield backend


def call(project: DemoProject, method: str, path: str, **body: Any) -> Any:
    studio = project.label_studio
    answer = requests.request(
        method, f"{studio.url}{path}", headers=studio.headers, timeout=60, **body
    )
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def submit_class(project: DemoProject, task: int, name: str) -> None:
    """Submit an annotation that has a class and no keypoints."""
    value = {"choices": [name]}
    region = {"from_name": "class", "to_name": "image", "type": "choices", "value": value}
    body = {"result": [region], "lead_time": 1.5}
    call(project, "POST", f"/api/tasks/{task}/annotations/?project={project.id}", json=body)


def connected(project: DemoProject) -> dict[str, Any]:
    """The row of the backend in Label Studio, which asks /setup for it."""
    [row] = call(project, "GET", f"/api/ml?project={project.id}")
    found: dict[str, Any] = row
    return found


def version(backend: Serving) -> str:
    health = backend.health()
    assert health is not None
    found: str = health["model_version"]
    return found


def retrieve(project: DemoProject, backend: Serving, model_version: str) -> dict[int, int]:
    """Press "Retrieve predictions" for some tasks, wait, and count those of a version."""
    chosen = {"selectedItems": {"all": False, "included": list(project.tasks())[:SUGGESTED]}}
    path = f"/api/dm/actions?id=retrieve_tasks_predictions&project={project.id}"
    call(project, "POST", path, json=chosen)

    def arrived() -> bool:
        time.sleep(0.5)  # the list is long, and Label Studio has other things to do
        return len(project.predictions(model_version)) == SUGGESTED

    assert eventually(arrived, 120), backend.words()[-4000:]
    return counts(project, model_version)


def counts(project: DemoProject, model_version: str) -> dict[int, int]:
    return {task: len(found) for task, found in project.predictions(model_version).items()}


def training(backend: Serving) -> dict[str, Any]:
    [found] = requests.get(f"{backend.url}/training", timeout=10).json()["trainings"]
    told: dict[str, Any] = found
    return told


def test_submitted_classes_and_the_button_lead_to_suggestions_of_a_new_model(project, backend):
    project.connect(backend.url)
    tasks = project.tasks()
    one_each = dict.fromkeys(list(tasks)[:SUGGESTED], 1)
    first = version(backend)
    assert retrieve(project, backend, first) == one_each
    for task, path in tasks.items():
        submit_class(project, task, uploaded_name(path).partition("-")[0])

    call(project, "POST", f"/api/ml/{connected(project)['id']}/train")

    def ended() -> bool:
        time.sleep(0.5)
        return training(backend)["status"] in ("done", "failed")

    assert eventually(ended, 120), backend.words()[-4000:]
    outcome = training(backend)["outcome"]
    assert outcome is not None, training(backend)["reason"]
    assert Counter(outcome["images"]) == Counter(dict.fromkeys(CLASSES, IMAGES // 3))
    assert "it is the project's active model now" in outcome["decision"]

    row = connected(project)
    second = row["model_version"]
    assert row["state"] == "CO"
    assert second != first
    assert version(backend) == first, "the deployment's model is as before, for other projects"
    assert retrieve(project, backend, second) == one_each
    assert counts(project, first) == one_each, "the old ones are still there"
