"""Many tasks in one batch, while everything that can die is killed."""

import itertools
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from serving import eventually, serving

from backend.commands.demo_project import DemoProject, find_or_create, label_config
from backend.local.label_studio import LocalLabelStudio

TASKS = 200

# Command lines of what is killed in turn; all of it is started again by `serve`.
VICTIMS = ("backend worker", "gunicorn", "redis-server")

# Between two presses of "retrieve predictions" of somebody who has lost patience.
PATIENCE_SECONDS = 11.0

# A dead worker's job is taken over far sooner.
STANDSTILL_SECONDS = 150.0


@pytest.fixture(scope="module")
def project(
    label_studio: LocalLabelStudio, tmp_path_factory: pytest.TempPathFactory
) -> DemoProject:
    folder = tmp_path_factory.mktemp("images")
    for index in range(TASKS):
        image = np.full((48, 64, 3), (index, 255 - index, 90), np.uint8)
        cv2.rectangle(image, (10 + index % 20, 12), (40, 36), (255, 255, index), -1)
        cv2.imwrite(str(folder / f"{index}.png"), image)
    project = find_or_create(label_studio, "Many tasks", label_config(("saloon", "van", "bus")))
    project.upload(folder)
    return project


@pytest.fixture
def backend(environment: dict[str, str], tmp_path: Path):
    with serving(tmp_path / "backend", environment) as backend:
        assert eventually(backend.health), backend.words()
        yield backend


def press_retrieve(project: DemoProject) -> None:
    """Press the button; Label Studio reports success in any case."""
    threading.Thread(target=project.retrieve_predictions, daemon=True).start()


def counts(project: DemoProject, version: str) -> dict[int, int]:
    return {task: len(found) for task, found in project.predictions(version).items()}


def test_every_task_of_a_batch_has_one_prediction_whatever_is_killed_meanwhile(project, backend):
    project.connect(backend.url)
    version = backend.health()["model_version"]
    press_retrieve(project)
    killed = []
    for victim in itertools.islice(itertools.cycle(VICTIMS), 2 * len(VICTIMS)):
        time.sleep(2)
        if len(project.predictions(version)) == TASKS:
            break
        backend.kill(victim)
        killed.append(victim)
        press_retrieve(project)
    assert set(killed) == set(VICTIMS), "it was over before everything had been killed"

    there = len(project.predictions(version))
    last_progress = time.monotonic()
    while there < TASKS and time.monotonic() - last_progress < STANDSTILL_SECONDS:
        time.sleep(PATIENCE_SECONDS)
        press_retrieve(project)
        before, there = there, len(project.predictions(version))
        if there > before:
            last_progress = time.monotonic()

    expected = dict.fromkeys(project.tasks(), 1)
    assert counts(project, version) == expected, backend.words()[-4000:]

    # Not even later, and asked again, does a second one come.
    project.retrieve_predictions()
    time.sleep(PATIENCE_SECONDS)
    project.retrieve_predictions()
    assert counts(project, version) == expected
    keypoints = [
        len([region for region in found[0].result if region["type"] == "keypointlabels"])
        for found in project.predictions(version).values()
    ]
    assert min(keypoints) >= 1
