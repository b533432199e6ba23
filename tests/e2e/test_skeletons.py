"""Skeletons in Label Studio's editor: learnt, suggested, moved, shortened, extended, submitted."""

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from editor import Editor, open_label_stream
from plates import save_plates
from playwright.sync_api import Page
from serving import Serving, eventually, serving
from studio_api import api, region

from backend.commands.demo_project import DemoProject, find_or_create, uploaded_name
from backend.local.label_studio import LocalLabelStudio

NAMES = ("disc", "square", "ring", "bar")
CONFIG = (
    '<View><Image name="image" value="$image"/>'
    '<VectorLabels name="skeleton" toName="image" skeleton="true" closable="false" '
    'landmarks="disc, square, ring:disc, bar:square"><Label value="plate"/></VectorLabels></View>'
)
SIDE = 200
TASKS = 4
TOLERANCE = 12  # percent: the small network of these tests has learnt nothing
Place = tuple[float, float]


def places(number: int) -> dict[str, Place]:
    """Where the shapes of an image are, percent: one layout, which moves from image to image."""
    x, y = np.random.default_rng(number).integers(-10, 11, 2).tolist()
    layout = {"disc": (30, 30), "square": (70, 30), "ring": (30, 70), "bar": (70, 70)}
    return {name: (left + x, top + y) for name, (left, top) in layout.items()}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    save_plates(
        folder,
        lambda number: {name: (2 * x, 2 * y) for name, (x, y) in places(number).items()},
        TASKS,
        SIDE,
    )
    return folder


@pytest.fixture(scope="module")
def backend(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory):
    settings = {**environment, "SUGGEST": "always", "SYNC_EVERY": "0"}
    with serving(tmp_path_factory.mktemp("skeletons"), settings) as backend:
        assert eventually(backend.health), backend.words()
        yield backend


def drawn(number: int) -> dict[str, Any]:
    """A skeleton as somebody draws it: vertices in the order of the landmarks, random ids."""
    vertices: list[dict[str, Any]] = []
    for place, (x, y) in enumerate(places(number).values()):
        before = {"prevPointId": vertices[-1]["id"]} if vertices else {}
        vertices.append({"id": f"{number}V1StGXR8_{place}", "x": x, "y": y, **before})
    value = {"vertices": vertices, "closed": False, "vectorlabels": ["plate"]}
    return region(f"hand{number}", "skeleton", "vectorlabels", value, SIDE)


@pytest.fixture(scope="module")
def project(label_studio: LocalLabelStudio, backend: Serving, images: Path) -> DemoProject:
    """Three images are annotated with skeletons."""
    project = find_or_create(label_studio, "Skeletons", CONFIG)
    project.upload(images)
    project.connect(backend.url)
    tasks = project.tasks()
    for number, task in enumerate(sorted(tasks, key=lambda each: uploaded_name(tasks[each]))[:3]):
        body = {"result": [drawn(number)], "lead_time": 9.0}
        api(label_studio, "POST", f"/api/tasks/{task}/annotations/", json=body)
    versions = f"{backend.url}/versions"
    assert eventually(
        lambda: "+3-" in requests.get(versions, timeout=30).json()["versions"][-1], 60
    ), backend.words()
    return project


def vertices(regions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The vertices of the only region, by their ids."""
    [region] = [each for each in regions if each["type"] == "vectorlabels"]
    return {each["id"]: each for each in region["value"]["vertices"]}


def on_screen(editor: Editor, vertex: dict[str, Any]) -> Place:
    image = editor.image()
    return (
        image["x"] + vertex["x"] / 100 * image["width"],
        image["y"] + vertex["y"] / 100 * image["height"],
    )


def test_a_suggested_skeleton_is_drawn_and_its_vertices_keep_their_names(
    page: Page, project: DemoProject, backend: Serving, tmp_path: Path
) -> None:
    editor = open_label_stream(page, project.url)
    editor.wait_for_dots(len(NAMES))
    page.screenshot(path=tmp_path / "suggested.png")
    print("pictures:", tmp_path)
    suggested = vertices(editor.regions())
    assert list(suggested) == list(NAMES)
    for name, (x, y) in places(3).items():
        assert abs(suggested[name]["x"] - x) < TOLERANCE, name
        assert abs(suggested[name]["y"] - y) < TOLERANCE, name
    before = {name: each.get("prevPointId") for name, each in suggested.items()}
    assert before == {"disc": None, "square": "disc", "ring": "disc", "bar": "square"}

    x, y = on_screen(editor, suggested["disc"])
    other, level = on_screen(editor, suggested["ring"])
    page.mouse.click((x + other) / 2, (y + level) / 2)  # the edge between them selects the region
    page.wait_for_timeout(500)
    page.mouse.move(*on_screen(editor, suggested["bar"]))
    page.mouse.down()
    right, down = on_screen(editor, suggested["bar"])
    page.mouse.move(right + 50, down + 40, steps=8)
    page.mouse.up()
    page.keyboard.down("Alt")
    page.mouse.click(*on_screen(editor, suggested["square"]))
    page.keyboard.up("Alt")
    page.wait_for_timeout(500)
    page.screenshot(path=tmp_path / "changed.png")
    changed = vertices(editor.regions())
    assert list(changed) == ["disc", "ring", "bar"]
    assert changed["disc"]["x"] == pytest.approx(suggested["disc"]["x"])
    assert changed["bar"]["x"] > suggested["bar"]["x"] + 2
    assert changed["bar"]["prevPointId"] == "disc"  # that of the deleted one

    # The next vertex hangs on the one that was clicked, and its id is random.
    page.mouse.click(*on_screen(editor, changed["ring"]))
    page.wait_for_timeout(500)
    right, down = on_screen(editor, changed["ring"])
    page.mouse.click(right + 60, down + 30)
    page.wait_for_timeout(1000)
    page.screenshot(path=tmp_path / "extended.png")
    extended = vertices(editor.regions())
    [added] = extended.keys() - changed.keys()
    assert (len(added), extended[added]["prevPointId"]) == (21, "ring")
    editor.submit()
    [submitted] = [
        vertices(annotation["result"])
        for task in project.tasks()
        for annotation in api(project.label_studio, "GET", f"/api/tasks/{task}/annotations/")
        if "disc" in vertices(annotation["result"])
    ]
    assert submitted.keys() == extended.keys()

    # It takes the only name that is missing.
    assert eventually(lambda: len(verdicts(backend)) == 5), backend.words()
    assert verdicts(backend) == {
        ("accepted", "disc", "disc"),
        ("accepted", "ring", "ring"),
        ("moved", "bar", "bar"),
        ("deleted", "square", None),
        ("added", None, "square"),
    }


def verdicts(backend: Serving) -> set[tuple[str, str | None, str | None]]:
    """The verdicts about the annotation that began with suggestions."""
    with sqlite3.connect(backend.folder / "backend.sqlite3") as database:
        found = database.execute(
            "SELECT verdict, suggested_label, final_label FROM verdicts WHERE kind = 'point' AND "
            "state_id IN (SELECT state_id FROM verdicts WHERE suggested_label IS NOT NULL)"
        )
        return set(found.fetchall())
