"""Three corrected images teach names; the fourth has them, and what is deleted is forgotten."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests
from editor import open_label_stream
from serving import ROOT, Serving, eventually, serving
from studio_api import api, region

from backend.commands.demo_project import DemoProject, find_or_create, uploaded_name
from backend.labelstudio.schemas import Project
from backend.local.label_studio import LocalLabelStudio

CONFIG = (
    '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
    '<Label value="disc"/><Label value="square"/></KeyPointLabels></View>'
)
SIDE = 160
TASKS = 6


def places(number: int) -> dict[str, tuple[int, int]]:
    """Where the disc and the square of an image are, px."""
    random = np.random.default_rng(number)
    move = random.integers(-8, 9, 4)
    return {"disc": (45 + move[0], 80 + move[1]), "square": (115 + move[2], 80 + move[3])}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(TASKS):
        image = np.full((SIDE, SIDE, 3), 190, np.uint8)
        at = places(number)
        cv2.circle(image, [int(x) for x in at["disc"]], 18, (20, 20, 220), -1)
        x, y = map(int, at["square"])
        cv2.rectangle(image, (x - 16, y - 16), (x + 16, y + 16), (220, 20, 20), -1)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


@pytest.fixture
def backend(environment: dict[str, str], tmp_path: Path):
    with serving(
        tmp_path / "backend", {**environment, "SUGGEST": "worthwhile", "SYNC_EVERY": "0"}
    ) as backend:
        assert eventually(backend.health), backend.words()
        yield backend


def tasks_of(project: DemoProject) -> list[int]:
    """The tasks, in the order of their images."""
    tasks = project.tasks()
    return sorted(tasks, key=lambda task: uploaded_name(tasks[task]))


def opened(studio: LocalLabelStudio, project: DemoProject, task: int) -> list[dict[str, Any]]:
    """Let Label Studio request the suggestions of a task; its predictions, newest first."""
    path = f"/api/dm/actions?id=retrieve_tasks_predictions&project={project.id}"
    chosen = {"selectedItems": {"all": False, "included": [task]}}
    api(studio, "POST", path, json=chosen)
    found: list[dict[str, Any]] = api(studio, "GET", f"/api/predictions?task={task}")
    return sorted(found, key=lambda each: each["id"], reverse=True)


def correct(studio: LocalLabelStudio, task: int, number: int) -> int:
    """Submit the named points of an image, as somebody who drew them; the annotation's id."""
    result = []
    for label, (x, y) in places(number).items():
        place = {"x": 100 * float(x) / SIDE, "y": 100 * float(y) / SIDE, "width": 1}
        value = {**place, "keypointlabels": [label]}
        result.append(region(f"{label}{number}", "kp", "keypointlabels", value, SIDE))
    body = {"result": result, "lead_time": 9.0}
    made: int = api(studio, "POST", f"/api/tasks/{task}/annotations/", json=body)["id"]
    return made


def setup_version(backend: Serving, project: DemoProject, studio: LocalLabelStudio) -> str:
    """The version that /setup reports for a project."""
    path = f"/api/projects/{project.id}/"
    about = api(studio, "GET", path)
    uid = Project.model_validate(about).uid
    body = {"project": uid, "schema": about["label_config"]}
    answer = requests.post(f"{backend.url}/setup", json=body, timeout=30)
    return str(answer.json()["model_version"])


def connected(
    studio: LocalLabelStudio, backend: Serving, images: Path, title: str
) -> tuple[DemoProject, list[int]]:
    project = find_or_create(studio, title, CONFIG)
    project.upload(images)
    project.connect(backend.url)
    return project, tasks_of(project)


def test_the_fourth_image_has_names_and_a_deleted_annotation_is_forgotten(
    label_studio, backend, images
):
    project, tasks = connected(label_studio, backend, images, "Discs and squares")
    other, other_tasks = connected(label_studio, backend, images, "Nothing corrected")
    base = setup_version(backend, project, label_studio)
    for number, task in enumerate(tasks[:3]):
        [cold] = opened(label_studio, project, task)
        assert cold["result"] == []  # the class does not tell the labels
        made = correct(label_studio, task, number)
    submitted = time.monotonic()

    def version() -> str:
        return setup_version(backend, project, label_studio)

    assert eventually(lambda: version() != base, 10), backend.words()
    known = time.monotonic() - submitted
    learnt = version()
    assert learnt.startswith(f"{base}+3-")
    newest = opened(label_studio, project, tasks[3])[0]
    named = time.monotonic() - submitted
    load = os.getloadavg()[0]
    print(
        f"\nAfter the third submission: learnt {known:.1f} s, named {named:.1f} s, load {load:.1f}"
    )
    assert newest["model_version"] == learnt
    found = {region["value"]["keypointlabels"][0]: region for region in newest["result"]}
    assert found.keys() == {"disc", "square"}, backend.words()
    for label, (x, y) in places(3).items():
        value = found[label]["value"]
        assert abs(value["x"] - 100 * x / SIDE) < 10
        assert abs(value["y"] - 100 * y / SIDE) < 10
        assert 0 < found[label]["score"] <= 1
    # The next tasks are predicted without being opened.
    path = f"/api/predictions?task={tasks[5]}"
    assert eventually(
        lambda: learnt in [each["model_version"] for each in api(label_studio, "GET", path)], 30
    ), backend.words()

    # Another project on the same backend knows nothing of it.
    assert setup_version(backend, other, label_studio) == base
    assert opened(label_studio, other, other_tasks[3])[0]["result"] == []

    api(label_studio, "DELETE", f"/api/annotations/{made}/")
    assert eventually(lambda: version() == base, 10), backend.words()
    forgotten = opened(label_studio, project, tasks[4])[0]
    assert (forgotten["model_version"], forgotten["result"]) == (base, [])


def test_the_fourth_image_opens_with_names_and_scores_in_the_browser(
    page, label_studio, backend, images
):
    project, tasks = connected(label_studio, backend, images, "Opened in the browser")
    other, other_tasks = connected(label_studio, backend, images, "Opened beside it")
    base = setup_version(backend, project, label_studio)
    for each in (project, other):
        each.retrieve_predictions()  # also of the fourth image, which has no points then
        assert eventually(lambda each=each: len(each.predictions(base)) == TASKS), backend.words()
    submitted = [correct(label_studio, task, number) for number, task in enumerate(tasks[:3])]

    def version() -> str:
        return setup_version(backend, project, label_studio)

    assert eventually(lambda: version() != base, 10), backend.words()
    editor = open_label_stream(page, project.url)
    dots = editor.wait_for_dots(2)
    assert editor.task() == tasks[3]
    newest = opened(label_studio, project, tasks[3])[0]
    scores = {each["value"]["keypointlabels"][0]: each["score"] for each in newest["result"]}
    assert sorted(editor.listed()) == sorted(
        (name, f"{score:.2f}") for name, score in scores.items()
    )
    place = editor.image()
    for name, (x, y) in places(3).items():
        [region] = [each for each in editor.regions() if each["value"]["keypointlabels"] == [name]]
        assert abs(region["value"]["x"] - 100 * x / SIDE) < 10
        assert abs(region["value"]["y"] - 100 * y / SIDE) < 10
        at = place["x"] + region["value"]["x"] / 100 * place["width"]
        assert min(abs(dot.x - at) for dot in dots) < 1

    # The other project, whose images are the same, has corrected nothing.
    beside = open_label_stream(page, other.url)
    beside.wait_for_task(other_tasks[0])
    assert (beside.dots(), beside.listed()) == ([], [])

    # Two of the three teach no names, so the fourth opens without those it had.
    api(label_studio, "DELETE", f"/api/annotations/{submitted[0]}/")
    assert eventually(lambda: version() == base, 10), backend.words()
    again = open_label_stream(page, project.url)
    again.wait_for_task(tasks[3])
    assert (again.dots(), again.listed()) == ([], [])


def order(backend: Serving, project: DemoProject, *more: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m backend order` with the settings of a backend."""
    return subprocess.run(
        [sys.executable, "-m", "backend", "order", "--project", str(project.id), *more],
        cwd=ROOT,
        env=dict(backend.environment),
        capture_output=True,
        text=True,
        timeout=300,
    )


def sorted_by(studio: LocalLabelStudio, project: DemoProject, column: str) -> list[dict[str, Any]]:
    """The tasks of a project as the Data Manager shows them, sorted by a column."""
    query = json.dumps({"ordering": [column]})
    path = f"/api/tasks?project={project.id}&query={query}&fields=all&resolve_uri=false"
    found: list[dict[str, Any]] = api(studio, "GET", path)["tasks"]
    return found


def test_the_next_tasks_have_ranks_by_which_the_data_manager_sorts(label_studio, backend, images):
    project, tasks = connected(label_studio, backend, images, "Discs in order")
    refused = order(backend, project)
    assert refused.returncode == 78
    assert "correct three images first" in refused.stderr
    before = {task["id"]: task["data"] for task in sorted_by(label_studio, project, "tasks:id")}
    base = setup_version(backend, project, label_studio)
    for number, task in enumerate(tasks[:3]):
        opened(label_studio, project, task)
        correct(label_studio, task, number)
    assert eventually(lambda: setup_version(backend, project, label_studio) != base, 20)

    looked = order(backend, project, "--dry-run")
    assert looked.returncode == 0, looked.stderr
    assert "3 tasks placed, 0 cannot be placed" in looked.stdout
    now = {task["id"]: task["data"] for task in sorted_by(label_studio, project, "tasks:id")}
    assert now == before

    written = order(backend, project)
    assert written.returncode == 0, written.stderr
    assert "3 × written" in written.stdout
    shown = sorted_by(label_studio, project, "tasks:data.order")
    assert [task["data"].get("order") for task in shown] == [
        "000001",
        "000002",
        "000003",
        None,
        None,
        None,
    ]
    assert {task["id"] for task in shown[:3]} == set(tasks[3:])
    first = next(line for line in looked.stdout.splitlines() if line.startswith("  1. task"))
    assert first == f"  1. task {shown[0]['id']}"
    # Nothing but the field was touched.
    for task in shown:
        assert {n: v for n, v in task["data"].items() if n != "order"} == before[task["id"]]
    # The Data Manager offers the column, and "Label Tasks As Displayed" follows its order.
    columns = api(label_studio, "GET", f"/api/dm/columns?project={project.id}")["columns"]
    assert "order" in [each["id"] for each in columns if each.get("parent") == "data"]
    path = f"/api/dm/actions?id=next_task&project={project.id}"
    everything = {"all": True, "excluded": []}
    body = {"selectedItems": everything, "ordering": ["tasks:data.order"]}
    assert api(label_studio, "POST", path, json=body)["id"] == shown[0]["id"]

    assert "3 × right already" in order(backend, project).stdout

    # The column "Prediction score" is empty while the project names the backend, not a version.
    assert {task["predictions_score"] for task in shown} == {None}
    learnt = setup_version(backend, project, label_studio)
    newest = opened(label_studio, project, tasks[3])[0]
    assert newest["model_version"] == learnt
    assert 0 < newest["score"] <= 1
    api(label_studio, "PATCH", f"/api/projects/{project.id}/", json={"model_version": learnt})
    scores = {
        task["id"]: task["predictions_score"]
        for task in sorted_by(label_studio, project, "tasks:predictions_score")
    }
    assert scores[tasks[3]] == pytest.approx(newest["score"])
