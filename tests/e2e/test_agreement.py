"""An annotator accepts, moves, relabels, deletes and adds; /agreement tells exactly that."""

from pathlib import Path
from typing import Any

import cv2
import pytest
import requests
from editor import Editor
from playwright.sync_api import Page
from serving import Serving, eventually

from backend.commands.demo_project import DemoProject, find_or_create, label_config
from backend.local.label_studio import LocalLabelStudio
from drawings.drawing import draw

KEYPOINTS = 10


@pytest.fixture(scope="module")
def project(
    label_studio: LocalLabelStudio, backend: Serving, tmp_path_factory: pytest.TempPathFactory
) -> DemoProject:
    """One drawn vehicle, connected to the backend."""
    folder = tmp_path_factory.mktemp("images")
    cv2.imwrite(str(folder / "0.png"), draw(0, (640, 480), seed=9).image[..., ::-1])
    config = label_config(("saloon", "van", "bus"))
    project = find_or_create(label_studio, "Agreement", config)
    project.upload(folder)
    project.connect(backend.url)
    return project


def counted(backend: Serving, project: DemoProject) -> dict[str, int]:
    answer = requests.get(f"{backend.url}/agreement?project={project.id}", timeout=60)
    points: dict[str, int] = answer.json()["overall"]["points"]
    return points


def test_agreement_tells_exactly_what_an_annotator_did(
    page: Page, project: DemoProject, backend: Serving, tmp_path: Path
):
    page.goto(project.url)
    page.get_by_role("button", name="Label All Tasks").click()
    editor = Editor(page)
    dots = editor.wait_for_dots(KEYPOINTS)
    regions = [each for each in editor.regions() if each["type"] == "keypointlabels"]
    labels = ["saloon", "van", "bus"]
    [label] = {region["value"]["keypointlabels"][0] for region in regions}
    other = next(each for each in labels if each != label)

    moved, relabelled, deleted = lonely(dots, 3)
    editor.drag(moved, right=18, down=-12)
    click(page, relabelled)
    page.locator(".lsf-label", has_text=other).first.click()
    page.keyboard.press("Escape")
    click(page, deleted)
    page.keyboard.press("Backspace")
    editor.wait_for_dots(KEYPOINTS - 1)
    page.locator(".lsf-label", has_text=label).first.click()
    place = editor.image()
    page.mouse.click(place["x"] + 6, place["y"] + 6)
    editor.wait_for_dots(KEYPOINTS)
    page.screenshot(path=tmp_path / "edited.png")
    editor.submit()

    assert eventually(lambda: counted(backend, project)["suggested"] == KEYPOINTS)
    assert counted(backend, project) == {
        "suggested": KEYPOINTS,
        "judged": KEYPOINTS,
        "accepted": KEYPOINTS - 3,
        "moved": 1,
        "relabelled": 1,
        "moved_and_relabelled": 0,
        "deleted": 1,
        "added": 1,
    }

    page.goto(f"{backend.url}/")
    page.get_by_role("link", name="Report", exact=True).click()
    assert page.get_by_text(f"What annotators did with {KEYPOINTS} suggestions").count() == 1
    assert page.locator(".tasks article svg image").count() == 1
    page.screenshot(path=tmp_path / "report.png", full_page=True)


def click(page: Page, dot) -> None:
    page.mouse.click(dot.x, dot.y)


def lonely(dots, count: int):
    """The dots farthest from their nearest neighbours, so that the mouse meets no other."""

    def distance(dot) -> float:
        return min((dot.x - o.x) ** 2 + (dot.y - o.y) ** 2 for o in dots if o is not dot)

    return sorted(dots, key=distance, reverse=True)[:count]


def test_the_export_imports_again_into_label_studio(
    label_studio: LocalLabelStudio, project: DemoProject, backend: Serving
):
    """Predictions and annotations of the test above, in a project of their own."""

    def call(method: str, path: str, **body: Any) -> Any:
        answer = requests.request(
            method, f"{label_studio.url}{path}", headers=label_studio.headers, timeout=60, **body
        )
        assert answer.ok, answer.text
        return answer.json()

    address = f"{backend.url}/export?format=label-studio&project={project.id}"
    [sent] = requests.get(address, timeout=60).json()
    again = find_or_create(label_studio, "Imported again", label_config(("saloon", "van", "bus")))
    counts = call("POST", f"/api/projects/{again.id}/import", json=[sent])
    assert [counts[f"{kind}_count"] for kind in ("task", "annotation", "prediction")] == [1, 1, 1]
    [imported] = call("GET", f"/api/projects/{again.id}/export?exportType=JSON")
    [[annotation], [original]] = (
        found["annotations"]
        for found in (
            imported,
            *call("GET", f"/api/projects/{project.id}/export?exportType=JSON"),
        )
    )
    assert annotation["result"] == original["result"]
    assert annotation["lead_time"] == original["lead_time"]
    predictions = call("GET", f"/api/predictions?task__project={again.id}")
    [prediction] = sent["predictions"]
    assert [(each["model_version"], each["result"]) for each in predictions] == [
        (prediction["model_version"], prediction["result"])
    ]
