"""What an annotator meets: suggestions on the image, which move under the mouse and submit."""

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests
from editor import Editor, open_label_stream
from PIL import Image
from playwright.sync_api import Page
from serving import Serving, eventually

from backend.commands.demo_project import DemoProject, find_or_create, label_config
from backend.local.label_studio import LocalLabelStudio
from backend.suggestions.delivery import REPLY_SETTLES_SECONDS
from drawings.drawing import draw

CONFIG = label_config(("saloon", "van", "bus"))
KEYPOINTS = 10


@pytest.fixture(scope="module")
def project(
    label_studio: LocalLabelStudio, backend: Serving, tmp_path_factory: pytest.TempPathFactory
) -> DemoProject:
    """Three drawn vehicles, connected to the backend; nothing is retrieved yet."""
    folder = tmp_path_factory.mktemp("images")
    for index in range(3):
        drawing = draw(index, (640, 480), seed=5)
        cv2.imwrite(str(folder / f"{index}.png"), drawing.image[..., ::-1])
    project = find_or_create(label_studio, "An annotator's project", CONFIG)
    project.upload(folder)
    project.connect(backend.url)
    return project


def annotations(project: DemoProject) -> list[dict[str, Any]]:
    studio = project.label_studio
    found: list[dict[str, Any]] = []
    for task in project.tasks():
        answer = requests.get(
            f"{studio.url}/api/tasks/{task}/annotations/", headers=studio.headers, timeout=30
        )
        found += answer.json()
    return found


def events(backend: Serving, action: str) -> list[dict[str, Any]]:
    with sqlite3.connect(backend.folder / "backend.sqlite3") as database:
        rows = database.execute("SELECT body FROM events WHERE action = ?", [action]).fetchall()
    return [json.loads(body) for (body,) in rows]


def test_a_suggestion_is_drawn_moved_and_submitted_and_its_event_stored(
    page: Page, project: DemoProject, backend: Serving, tmp_path: Path
):
    editor = open_label_stream(page, project.url)
    dots = editor.wait_for_dots(KEYPOINTS)
    suggested = {region["id"]: region for region in editor.regions()}
    place = editor.image()

    # Each dot lies where its suggestion says, in percent of the image.
    keypoints = [r for r in suggested.values() if r["type"] == "keypointlabels"]
    expected = sorted(
        (
            place["x"] + region["value"]["x"] / 100 * place["width"],
            place["y"] + region["value"]["y"] / 100 * place["height"],
        )
        for region in keypoints
    )
    np.testing.assert_allclose(sorted((dot.x, dot.y) for dot in dots), expected, atol=1)
    assert_dots_are_seen(page, editor, tmp_path / "drawn.png")

    lonely = max(dots, key=lambda dot: distance_to_others(dot, dots))
    editor.drag(lonely, right=20, down=14)
    editor.submit()

    [annotation] = annotations(project)
    submitted = {region["id"]: region for region in annotation["result"]}
    assert submitted.keys() == suggested.keys()
    moved = [r for r in submitted.values() if r["origin"] == "prediction-changed"]
    assert [r["origin"] for r in submitted.values()].count("prediction") == len(submitted) - 1
    assert len(moved) == 1
    before = suggested[moved[0]["id"]]["value"]
    shift = [moved[0]["value"][axis] - before[axis] for axis in ("x", "y")]
    np.testing.assert_allclose(
        shift, [20 / place["width"] * 100, 14 / place["height"] * 100], atol=0.3
    )
    assert annotation["parent_prediction"] is not None

    assert eventually(lambda: events(backend, "ANNOTATION_CREATED"))
    created = events(backend, "ANNOTATION_CREATED")  # of every test with this backend
    [event] = [each for each in created if each["annotation"]["id"] == annotation["id"]]
    assert event["annotation"]["id"] == annotation["id"]
    assert {region["id"] for region in event["annotation"]["result"]} == submitted.keys()
    assert "token" not in event["project"]


def test_ids_of_regions_are_the_same_whenever_a_prediction_is_asked_for(
    project: DemoProject, backend: Serving
):
    version = backend.health()["model_version"]
    studio = project.label_studio
    project.retrieve_predictions()
    assert eventually(lambda: len(project.predictions(version)) == 3)
    first = project.predictions(version)
    for predictions in first.values():
        for prediction in predictions:
            address = f"{studio.url}/api/predictions/{prediction.id}/"
            requests.delete(address, headers=studio.headers, timeout=30).raise_for_status()
    time.sleep(REPLY_SETTLES_SECONDS)  # so long it trusts that Label Studio is storing them

    project.retrieve_predictions()

    assert eventually(lambda: len(project.predictions(version)) == 3)
    second = project.predictions(version)
    for task, predictions in first.items():
        assert [p.result for p in second[task]] == [p.result for p in predictions]
        ids = [region["id"] for region in predictions[0].result]
        assert len(set(ids)) == len(ids)


def distance_to_others(dot, dots):
    return min(np.hypot(dot.x - o.x, dot.y - o.y) for o in dots if o is not dot)


def assert_dots_are_seen(page: Page, editor: Editor, screenshot: Path) -> None:
    """Hiding the regions changes the picture at the dots, and nowhere far from them."""
    page.screenshot(path=screenshot)
    shown = np.asarray(Image.open(screenshot).convert("RGB")).astype(int)
    dots = editor.dots()
    page.evaluate("Konva.stages[0].find('Circle').forEach(circle => circle.hide())")
    page.evaluate("Konva.stages[0].batchDraw()")
    page.screenshot(path=screenshot.with_name("hidden.png"))
    page.evaluate("Konva.stages[0].find('Circle').forEach(circle => circle.show())")
    hidden = np.asarray(Image.open(screenshot.with_name("hidden.png")).convert("RGB")).astype(int)
    changed = np.abs(shown - hidden).max(axis=2) > 8
    for dot in dots:
        assert changed[round(dot.y), round(dot.x)], f"nothing is seen at {dot}"
