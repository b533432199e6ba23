"""Tasks with two images, each with its own control, in Label Studio's own editor."""

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
import requests
from editor import open_label_stream
from playwright.sync_api import Page
from serving import Serving, eventually
from studio_api import api

from backend.commands.demo_project import DemoProject, find_or_create, label_config
from backend.local.label_studio import LocalLabelStudio
from drawings.drawing import draw

SIDES = ("front", "side")
SIZES = {"front": (640, 480), "side": (400, 600)}
CONFIG = """<View style="display: flex">
  <View style="flex: 1">
    <Image name="front" value="$front"/>
    <KeyPointLabels name="front points" toName="front">
      <Label value="lamp" background="red"/>
    </KeyPointLabels>
  </View>
  <View style="flex: 1">
    <Image name="side" value="$side"/>
    <KeyPointLabels name="side points" toName="side">
      <Label value="wheel" background="blue"/>
    </KeyPointLabels>
    <Choices name="class" toName="side">
      <Choice value="saloon"/><Choice value="van"/><Choice value="bus"/>
    </Choices>
  </View>
</View>"""
REPEATED = """<View><Repeater on="$views" indexFlag="{{i}}">
  <Image name="view_{{i}}" value="$views[{{i}}]"/>
  <KeyPointLabels name="points_{{i}}" toName="view_{{i}}">
    <Label value="lamp" background="red"/>
  </KeyPointLabels>
</Repeater></View>"""
KEYPOINTS = 10
# The dots on each image: one stage an image.
_DOTS = """() => Konva.stages.map(stage => stage.find("Circle").filter(
  circle => circle.isVisible()).length)"""


@pytest.fixture
def project(
    label_studio: LocalLabelStudio,
    backend: Serving,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> DemoProject:
    """A task with two drawn vehicles of different sizes."""
    config = getattr(request, "param", CONFIG)
    folder = tmp_path / "images"
    folder.mkdir()
    for seed, side in enumerate(SIDES, 5):
        drawing = draw(3, SIZES[side], seed=seed)
        cv2.imwrite(str(folder / f"{side}.png"), drawing.image[..., ::-1])
    # Label Studio takes uploads only while the image is all that a task's data needs.
    project = find_or_create(label_studio, request.node.name[:50], label_config(("saloon",)))
    project.upload(folder)
    uploads = {}
    for task in project.tasks():
        [url] = api(label_studio, "GET", f"/api/tasks/{task}")["data"].values()
        uploads[next(side for side in SIDES if side in url)] = (task, url)
    kept = uploads["front"][0]
    data = {side: url for side, (_, url) in uploads.items()} | {"image": uploads["front"][1]}
    data["views"] = [data[side] for side in SIDES]
    api(label_studio, "PATCH", f"/api/tasks/{kept}", json={"data": data})
    api(label_studio, "DELETE", f"/api/tasks/{uploads['side'][0]}")
    api(label_studio, "PATCH", f"/api/projects/{project.id}", json={"label_config": config})
    project.connect(backend.url)
    return project


def on(regions: list[dict[str, Any]], side: str) -> list[dict[str, Any]]:
    return [each for each in regions if each["to_name"] == side and "x" in each["value"]]


def agreement(backend: Serving, project: DemoProject) -> dict[str, Any]:
    answer = requests.get(f"{backend.url}/agreement", params={"project": project.id}, timeout=30)
    found: dict[str, Any] = answer.json()["overall"]
    return found


def test_both_images_of_a_task_are_suggested_and_judged(
    page: Page, project: DemoProject, backend: Serving, tmp_path: Path
) -> None:
    editor = open_label_stream(page, project.url)
    page.wait_for_function(f"({_DOTS})().join() === '{KEYPOINTS},{KEYPOINTS}'")
    editor.wait_for_dots(KEYPOINTS)
    page.screenshot(path=tmp_path / "pair.png")
    regions = editor.regions()
    for side, label in zip(SIDES, ("lamp", "wheel"), strict=True):
        own = on(regions, side)
        assert len(own) == KEYPOINTS
        assert {tuple(each["value"]["keypointlabels"]) for each in own} == {(label,)}
        assert {(each["original_width"], each["original_height"]) for each in own} == {SIZES[side]}
    assert [each["to_name"] for each in regions if each["type"] == "choices"] == ["side"]
    dot = editor.dots()[0]  # of the first image
    editor.drag(dot, 15, 0)
    editor.submit()
    assert eventually(lambda: agreement(backend, project)["images"] == 2), backend.words()
    found = agreement(backend, project)
    points = found["points"]
    assert (points["moved"], points["accepted"]) == (1, 2 * KEYPOINTS - 1), points
    assert (found["annotations"], found["tasks"]) == (2, 1)
    exported = requests.get(
        f"{backend.url}/export",
        params={"project": project.id, "format": "coco"},
        timeout=30,
    )
    images = json.loads(exported.content)["images"]
    assert [(each["width"], each["height"]) for each in images] == [SIZES[side] for side in SIDES]


@pytest.mark.parametrize("project", [REPEATED], indirect=True)
def test_every_image_of_a_repeater_gets_its_suggestions(
    page: Page, project: DemoProject, backend: Serving, tmp_path: Path
) -> None:
    editor = open_label_stream(page, project.url)
    page.wait_for_function(f"({_DOTS})().join() === '{KEYPOINTS},{KEYPOINTS}'")
    page.screenshot(path=tmp_path / "repeater.png")
    regions = editor.regions()
    for number, side in enumerate(SIDES):
        own = on(regions, f"view_{number}")
        assert {each["from_name"] for each in own} == {f"points_{number}"}
        assert {(each["original_width"], each["original_height"]) for each in own} == {SIZES[side]}
        assert len(own) == KEYPOINTS
    editor.submit()
    assert eventually(lambda: agreement(backend, project)["images"] == 2), backend.words()
    assert agreement(backend, project)["points"]["accepted"] == 2 * KEYPOINTS
