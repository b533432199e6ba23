"""One landmark placed, the rest follow: in the editor with Auto-Annotation, and by plain HTTP."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from editor import Editor
from plates import save_plates
from playwright.sync_api import Page
from serving import Serving, eventually, serving
from studio_api import api, region

from backend.commands.demo_project import DemoProject, find_or_create, uploaded_name
from backend.local.label_studio import LocalLabelStudio

LABELS = ("disc", "square", "ring", "bar")
CONFIG = (
    '<View><Image name="image" value="$image"/>'
    '<KeyPointLabels name="kp" toName="image" smart="true">'
    + "".join(f'<Label value="{label}"/>' for label in LABELS)
    + '</KeyPointLabels><Rectangle name="box" toName="image" smart="true"/></View>'
)
SIDE = 200
TASKS = 6
TOLERANCE = 12  # percent: the small network of these tests has learnt nothing


def places(number: int) -> dict[str, tuple[float, float]]:
    """Where the shapes of an image are, px: one layout, which moves from image to image."""
    x, y = np.random.default_rng(number).integers(-20, 21, 2).tolist()
    layout = {"disc": (60, 60), "square": (140, 60), "ring": (60, 140), "bar": (140, 140)}
    return {label: (left + x, top + y) for label, (left, top) in layout.items()}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    save_plates(folder, places, TASKS, SIDE)
    return folder


@pytest.fixture(scope="module")
def backend(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("interactive")
    settings = {**environment, "SUGGEST": "worthwhile", "SYNC_EVERY": "0"}
    with serving(folder, settings) as backend:
        assert eventually(backend.health), backend.words()
        yield backend


def point(label: str, x: float, y: float, region_id: str) -> dict[str, Any]:
    """The region of a point at a place in px, as the editor makes it."""
    value = {"x": 100 * x / SIDE, "y": 100 * y / SIDE, "width": 0.3, "keypointlabels": [label]}
    return region(region_id, "kp", "keypointlabels", value, SIDE)


@pytest.fixture(scope="module")
def project(label_studio: LocalLabelStudio, backend: Serving, images: Path) -> DemoProject:
    """Three images corrected; annotators see no predictions, so the next ones open empty."""
    project = find_or_create(label_studio, "One placed", CONFIG)
    project.upload(images)
    project.connect(backend.url)
    api(
        label_studio,
        "PATCH",
        f"/api/projects/{project.id}/",
        json={"show_collab_predictions": False},
    )
    connection = backend_of(project)
    interactive = {
        **{name: connection[name] for name in ("url", "project", "title")},
        "is_interactive": True,
    }
    api(label_studio, "PATCH", f"/api/ml/{connection['id']}", json=interactive)
    project.retrieve_predictions()
    listing = f"/api/predictions?task__project={project.id}"
    assert eventually(lambda: len(api(label_studio, "GET", listing)) == TASKS), backend.words()
    for number, task in enumerate(tasks_of(project)[:3]):
        result = [point(label, *at, f"{label}{number}") for label, at in places(number).items()]
        body = {"result": result, "lead_time": 9.0}
        api(label_studio, "POST", f"/api/tasks/{task}/annotations/", json=body)
    assert eventually(lambda: "+3-" in version(backend, project), 30), backend.words()
    return project


def backend_of(project: DemoProject) -> dict[str, Any]:
    found: dict[str, Any] = api(project.label_studio, "GET", f"/api/ml?project={project.id}")[0]
    return found


def tasks_of(project: DemoProject) -> list[int]:
    """The tasks, in the order of their images."""
    tasks = project.tasks()
    return sorted(tasks, key=lambda task: uploaded_name(tasks[task]))


def version(backend: Serving, project: DemoProject) -> str:
    """The newest version of suggestions that the backend lists."""
    return str(requests.get(f"{backend.url}/versions", timeout=30).json()["versions"][-1])


def place(project: DemoProject, task: int, *regions: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask as the editor does when regions were placed."""
    path = f"/api/ml/{backend_of(project)['id']}/interactive-annotating"
    body = {"task": task, "context": {"result": list(regions)}}
    found: list[dict[str, Any]] = api(project.label_studio, "POST", path, json=body)["data"][
        "result"
    ]
    return found


def labelled(regions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        region["value"]["keypointlabels"][0]: region
        for region in regions
        if region["type"] == "keypointlabels"
    }


def assert_in_place(regions: dict[str, dict[str, Any]], number: int) -> None:
    for label, (x, y) in places(number).items():
        value = regions[label]["value"]
        assert abs(value["x"] - 100 * x / SIDE) < TOLERANCE, label
        assert abs(value["y"] - 100 * y / SIDE) < TOLERANCE, label


def test_a_placed_point_brings_the_others_by_plain_http(project: DemoProject, backend: Serving):
    task = tasks_of(project)[4]
    x, y = places(4)["disc"]
    placed = point("disc", x, y, "byhand")
    found = place(project, task, placed)
    assert found[-1] == placed  # else the editor would delete it
    assert labelled(found).keys() == set(LABELS), backend.words()
    assert_in_place(labelled(found), 4)
    assert len({region["id"] for region in found}) == len(found)

    # What a saved draft has is not suggested again, and a point moved there stays.
    moved = {**labelled(found)["ring"], "origin": "prediction-changed"}
    kept = [placed, moved, labelled(found)["bar"]]
    draft = {"result": kept, "lead_time": 5.0}
    api(project.label_studio, "POST", f"/api/tasks/{task}/drafts", json=draft)
    second = place(project, task, point("square", *places(4)["square"], "second"))
    assert [region["id"] for region in second] == ["second"]


def test_a_placed_rectangle_brings_its_points(project: DemoProject, backend: Serving):
    task = tasks_of(project)[5]
    rectangle = {
        **point("", 0, 0, "box1"),
        "from_name": "box",
        "type": "rectangle",
        "value": {"x": 5, "y": 5, "width": 90, "height": 90, "rotation": 0},
    }
    found = place(project, task, rectangle)
    assert found[-1] == rectangle  # below its points
    assert labelled(found).keys() == set(LABELS), backend.words()
    assert {each["parentID"] for each in labelled(found).values()} == {"box1"}
    seconds = []
    for number in range(5):
        began = time.monotonic()
        place(project, task, {**rectangle, "id": f"again{number}"})
        seconds.append(time.monotonic() - began)
    print("seconds for a known image:", sorted(f"{each:.2f}" for each in seconds))


def test_one_click_in_the_editor_brings_the_other_landmarks(
    page: Page, project: DemoProject, backend: Serving, tmp_path: Path
):
    task = tasks_of(project)[3]
    forget_predictions(project, backend, task)
    page.goto(f"{project.url}?task={task}")
    page.wait_for_selector("img[alt=image]", state="attached")
    page.wait_for_function("() => window.Konva && Konva.stages.length > 0")
    editor = Editor(page)
    editor.wait_for_dots(0)
    page.get_by_test_id("bottombar-auto-annotation-toggle").click()
    page.get_by_test_id("bottombar-auto-accept-toggle").click()
    page.get_by_text("disc", exact=True).first.click()
    page.keyboard.press("m")  # the Auto-Detect tool
    x, y = places(3)["disc"]
    image = editor.image()
    with page.expect_response(lambda response: "interactive-annotating" in response.url):
        page.mouse.click(
            image["x"] + x / SIDE * image["width"], image["y"] + y / SIDE * image["height"]
        )
    dots = editor.wait_for_dots(len(LABELS))
    page.screenshot(path=str(tmp_path / "one-placed.png"))
    print("picture:", tmp_path / "one-placed.png")
    regions = labelled(editor.regions())
    assert_in_place(regions, 3)
    assert regions["disc"]["origin"] == "manual"

    # One is moved, and all are submitted: each suggestion that followed gets its verdict.
    value, image = regions["bar"]["value"], editor.image()
    x = image["x"] + value["x"] / 100 * image["width"]
    y = image["y"] + value["y"] / 100 * image["height"]
    editor.drag(min(dots, key=lambda dot: abs(dot.x - x) + abs(dot.y - y)), 40, 30)
    assert labelled(editor.regions())["bar"]["origin"] == "prediction-changed"
    editor.submit()
    assert eventually(lambda: sorted(follow_ups(backend)) == ["accepted", "accepted", "moved"], 30)


def forget_predictions(project: DemoProject, backend: Serving, task: int) -> None:
    """Delete the predictions of a task, once the newest has come, so that it opens empty."""
    path = f"/api/predictions?task={task}"

    def stored() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = api(project.label_studio, "GET", path)
        return found

    assert eventually(lambda: any("+3-" in each["model_version"] for each in stored()))
    for each in stored():
        api(project.label_studio, "DELETE", f"/api/predictions/{each['id']}/")


def follow_ups(backend: Serving) -> list[str]:
    """The verdicts on suggestions that followed."""
    with sqlite3.connect(backend.folder / "backend.sqlite3") as database:
        rows = database.execute("SELECT verdict FROM verdicts WHERE kind = 'follow-up'").fetchall()
    return [verdict for (verdict,) in rows]
