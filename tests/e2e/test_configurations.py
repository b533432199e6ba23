"""Classes in a taxonomy, and labels that each task lists, in Label Studio's own editor."""

from pathlib import Path

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

LISTED = ("front wheel", "rear wheel")
CONFIG = """<View>
  <Image name="image" value="$image"/>
  <KeyPointLabels name="keypoints" toName="image" value="$parts"/>
  <Taxonomy name="class" toName="image">
    <Choice value="vehicle">
      <Choice value="saloon"/><Choice value="van"/><Choice value="bus"/>
    </Choice>
  </Taxonomy>
</View>"""
KEYPOINTS = 10


@pytest.fixture
def project(label_studio: LocalLabelStudio, backend: Serving, tmp_path: Path) -> DemoProject:
    """A drawn vehicle whose task lists the labels of its points."""
    folder = tmp_path / "images"
    folder.mkdir()
    drawing = draw(3, (640, 480), seed=5)
    cv2.imwrite(str(folder / "vehicle.png"), drawing.image[..., ::-1])
    # Label Studio takes uploads only while the image is all that a task's data needs.
    project = find_or_create(label_studio, "Labels of each task", label_config(("saloon",)))
    project.upload(folder)
    for task in project.tasks():
        data = api(label_studio, "GET", f"/api/tasks/{task}")["data"]
        data["parts"] = [{"value": name, "background": "red"} for name in LISTED]
        api(label_studio, "PATCH", f"/api/tasks/{task}", json={"data": data})
    api(label_studio, "PATCH", f"/api/projects/{project.id}", json={"label_config": CONFIG})
    project.connect(backend.url)
    return project


def agreement(backend: Serving, project: DemoProject) -> dict[str, object]:
    answer = requests.get(f"{backend.url}/agreement", params={"project": project.id}, timeout=30)
    found: dict[str, object] = answer.json()["overall"]["choices"]
    return found


def test_listed_labels_and_a_class_of_a_taxonomy_are_suggested_and_judged(
    page: Page, project: DemoProject, backend: Serving, tmp_path: Path
) -> None:
    editor = open_label_stream(page, project.url)
    editor.wait_for_dots(KEYPOINTS)
    page.screenshot(path=tmp_path / "taxonomy.png")
    regions = editor.regions()
    labels = [each["value"]["keypointlabels"] for each in regions if "x" in each["value"]]
    assert labels == [[LISTED[0]]] * KEYPOINTS
    [chosen] = [each["value"]["taxonomy"] for each in regions if each["type"] == "taxonomy"]
    assert len(chosen) == 1 and chosen[0][0] == "vehicle"
    shown = page.locator(".lsf-taxonomy").inner_text()
    assert chosen[0][-1] in shown
    editor.submit()
    assert eventually(lambda: agreement(backend, project)["suggested"] == 1), backend.words()
    assert agreement(backend, project)["accepted"] == 1
