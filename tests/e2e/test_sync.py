"""Fifty annotations without events: a pull leads to the same figures as events."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import pytest
import requests
from serving import ROOT, Serving, eventually, serving
from studio_api import api

from backend.commands.demo_project import DemoProject, find_or_create, label_config, uploaded_name
from backend.labelstudio.schemas import Prediction
from backend.local.label_studio import LocalLabelStudio
from drawings.drawing import draw

TASKS = 50
CLASSES = ("saloon", "van", "bus")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for index in range(TASKS):
        drawing = draw(index, (160, 120), seed=21)
        cv2.imwrite(str(folder / f"{index:02}.png"), drawing.image[..., ::-1])
    return folder


@pytest.fixture
def backend(environment: dict[str, str], tmp_path: Path):
    """A backend of its own, which pulls only on request."""
    with serving(tmp_path / "backend", {**environment, "SYNC_EVERY": "0"}) as backend:
        assert eventually(backend.health), backend.words()
        yield backend


def suggested(
    studio: LocalLabelStudio, backend: Serving, images: Path, title: str
) -> tuple[DemoProject, Mapping[str, Prediction]]:
    """A project whose tasks all have their suggestion; name of each image → its prediction."""
    project = find_or_create(studio, title, label_config(CLASSES))
    project.upload(images)
    project.connect(backend.url)
    project.retrieve_predictions()
    health = backend.health()
    assert health is not None
    version = health["model_version"]
    assert eventually(lambda: len(project.predictions(version)) == TASKS, 120), backend.words()
    names = {task: uploaded_name(path) for task, path in project.tasks().items()}
    found = project.predictions(version)
    return project, {names[task]: found[task][0] for task in sorted(found, key=names.__getitem__)}


def annotate(studio: LocalLabelStudio, predictions: Mapping[str, Prediction]) -> None:
    """Accept, move, relabel, delete and add, in every task a little otherwise."""
    for place, prediction in enumerate(predictions.values()):
        regions = [dict(region) for region in prediction.result]
        points = [region for region in regions if region["type"] == "keypointlabels"]
        points[0]["value"] = {**points[0]["value"], "x": (7 * place) % 100}
        points[1]["value"] = {**points[1]["value"], "keypointlabels": [CLASSES[place % 3]]}
        regions.remove(points[2 + place % 3])
        regions.append({**points[3], "id": f"added{place}", "origin": "manual"})
        body = {"result": regions, "parent_prediction": prediction.id, "lead_time": 2.0 + place}
        api(studio, "POST", f"/api/tasks/{prediction.task}/annotations/", json=body)


def figures(backend: Serving, project: DemoProject) -> dict[str, Any]:
    answer = requests.get(f"{backend.url}/agreement?project={project.id}", timeout=60)
    found: dict[str, Any] = answer.json()
    return found


def test_without_the_webhook_a_pull_leads_to_the_same_figures(label_studio, backend, images):
    told, with_events = suggested(label_studio, backend, images, "Webhook on")
    silent, without = suggested(label_studio, backend, images, "Webhook off")
    [hook] = api(label_studio, "GET", f"/api/webhooks/?project={silent.id}")
    api(label_studio, "PATCH", f"/api/webhooks/{hook['id']}/", json={"is_active": False})
    annotate(label_studio, with_events)
    annotate(label_studio, without)

    assert eventually(lambda: figures(backend, told)["overall"]["annotations"] == TASKS)
    assert figures(backend, silent)["overall"]["annotations"] == 0

    command = [sys.executable, "-m", "backend", "sync", "--project", str(silent.id)]
    done = subprocess.run(
        command, env=backend.environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"{TASKS} annotations, {TASKS} of them new" in done.stdout

    of_events, of_pull = figures(backend, told), figures(backend, silent)
    assert of_events["overall"]["points"]["suggested"] >= 5 * TASKS
    assert of_pull["overall"] == of_events["overall"]
    for group in ("label", "class", "annotator", "model_version"):
        assert of_pull["by"][group] == of_events["by"][group]
    assert of_pull["events"] == {"by_event": 0, "lost": TASKS, "recovered": TASKS}
    assert of_events["events"] == {"by_event": TASKS, "lost": 0, "recovered": 0}
