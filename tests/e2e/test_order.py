"""What Label Studio asks for one by one comes first, and its tasks are listed by id."""

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from serving import eventually, serving
from studio_api import api

from backend.commands.demo_project import DemoProject, find_or_create, label_config
from backend.labelstudio import client as client_module
from backend.labelstudio.client import LabelStudio
from backend.local.label_studio import LocalLabelStudio

TASKS = 150
CLASSES = ("saloon", "van", "bus")


def add_tasks(studio: LocalLabelStudio, project: DemoProject, count: int) -> None:
    tasks = [{"image": f"https://images.example/{number}.png"} for number in range(count)]
    api(studio, "POST", f"/api/projects/{project.id}/import", json=tasks)


def test_every_task_is_listed_once_while_others_are_created_and_deleted(
    label_studio: LocalLabelStudio, monkeypatch: pytest.MonkeyPatch
):
    project = find_or_create(label_studio, "Listed", label_config(CLASSES))
    other = find_or_create(label_studio, "Another", label_config(CLASSES))
    for _ in range(3):  # their ids alternate
        add_tasks(label_studio, project, 10)
        add_tasks(label_studio, other, 5)
    monkeypatch.setattr(client_module, "PAGE", 7)
    client = LabelStudio(label_studio.url, label_studio.token)
    before = sorted(project.tasks())
    found: list[int] = []
    for number, page in enumerate(client.task_pages(project.id)):
        found += [task.id for task in page.tasks]
        if number == 1:
            api(label_studio, "DELETE", f"/api/tasks/{before[2]}/")
            add_tasks(label_studio, project, 4)
    after = sorted(project.tasks())
    assert len(before) == 30 and len(after) == 33
    assert found == sorted({*before, *after})
    half = found[15]
    [*rest] = client.task_pages(project.id, after=half)
    assert [task.id for page in rest for task in page.tasks] == found[16:]
    assert rest[-1].is_last


def test_an_opened_task_has_its_suggestion_while_a_batch_waits(
    label_studio: LocalLabelStudio, environment: dict[str, str], tmp_path: Path
):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(TASKS):
        image = np.full((48, 64, 3), (index, 255 - index, 90), np.uint8)
        cv2.rectangle(image, (10 + index % 20, 12), (40, 36), (255, 255, index), -1)
        cv2.imwrite(str(folder / f"{index}.png"), image)
    project = find_or_create(label_studio, "Opened in a batch", label_config(CLASSES))
    project.upload(folder)
    patient = {**environment, "PREDICT_WAIT_BATCH": "0", "PREDICT_WAIT_ONE": "60"}
    with serving(tmp_path / "backend", patient) as backend:
        assert eventually(backend.health), backend.words()
        project.connect(backend.url)
        version = backend.health()["model_version"]
        threading.Thread(target=project.retrieve_predictions, daemon=True).start()
        assert eventually(lambda: project.predictions(version), 120), backend.words()
        for task in sorted(project.tasks())[:-4:-1]:
            opened = api(label_studio, "GET", f"/api/tasks/{task}/?project={project.id}")
            assert [each["model_version"] for each in opened["predictions"]] == [version]
        assert len(project.predictions(version)) < TASKS, "the batch was done before"
        assert eventually(lambda: len(project.predictions(version)) == TASKS, 300)
        assert {len(found) for found in project.predictions(version).values()} == {1}
