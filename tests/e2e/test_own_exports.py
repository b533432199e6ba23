"""Two objects on an image: their suggestions leave Label Studio's own COCO and YOLO exports.

The visibility of each point is suggested, changed by an annotator, and kept by the backend.
"""

import io
import json
import re
import sqlite3
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import requests
from editor import open_label_stream
from playwright.sync_api import Page
from serving import Serving, eventually, serving
from studio_api import api, region

from backend.commands.demo_project import DemoProject, find_or_create, uploaded_name
from backend.local.label_studio import LocalLabelStudio

# The order of the keypoints in the exports is not that of the labels.
CONFIG = (
    '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
    '<Label value="disc" model_index="1"/><Label value="square" model_index="0"/>'
    '</KeyPointLabels><RectangleLabels name="box" toName="image"><Label value="sign"/>'
    '</RectangleLabels><Choices name="visibility" toName="image" perRegion="true" '
    'whenTagName="kp"><Choice value="visible"/><Choice value="occluded"/></Choices></View>'
)
SIDE = 240
OBJECTS = ((10, 20), (130, 110))  # left top of each object, px
SIZE = 100  # of an object, px
TASKS = 4
NEAR = 0.1 * SIZE  # px: the small network of these tests has learnt nothing
Place = tuple[float, float]


def places(number: int) -> list[dict[str, Place]]:
    """Where the shapes of each object of an image are, px."""
    random = np.random.default_rng(number)
    found = []
    for left, top in OBJECTS:
        x, y = random.integers(-8, 9, 2).tolist()
        found.append({"disc": (left + 25 + x, top + 50 + y), "square": (left + 75 + x, top + 50)})
    return found


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(TASKS):
        image = np.full((SIDE, SIDE, 3), 190, np.uint8)
        for each in places(number):
            cv2.circle(image, [int(at) for at in each["disc"]], 12, (20, 20, 220), -1)
            x, y = map(int, each["square"])
            cv2.rectangle(image, (x - 11, y - 11), (x + 11, y + 11), (220, 20, 20), -1)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


@pytest.fixture(scope="module")
def backend(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory):
    settings = {**environment, "SUGGEST": "worthwhile", "SYNC_EVERY": "0"}
    with serving(tmp_path_factory.mktemp("exports"), settings) as backend:
        assert eventually(backend.health), backend.words()
        yield backend


def percent(*lengths: float) -> list[float]:
    return [100 * each / SIDE for each in lengths]


def boxes() -> list[dict[str, Any]]:
    """A rectangle around each object."""
    return [
        region(
            f"box{number}",
            "box",
            "rectanglelabels",
            {
                **dict(zip(("x", "y", "width", "height"), percent(*at, SIZE, SIZE), strict=True)),
                "rotation": 0,
                "rectanglelabels": ["sign"],
            },
            SIDE,
        )
        for number, at in enumerate(OBJECTS)
    ]


def annotated(number: int) -> list[dict[str, Any]]:
    """What somebody drew on an image: squares are occluded, discs visible."""
    found = boxes()
    for place, each in enumerate(places(number)):
        for label, at in each.items():
            x, y = percent(*at)
            value = {"x": x, "y": y, "width": 0.6}
            point = region(f"{label}{place}", "kp", "keypointlabels", value, SIDE)
            seen = "occluded" if label == "square" else "visible"
            choice = {"from_name": "visibility", "type": "choices"}
            found += [
                {**point, "parentID": f"box{place}", "value": value | {"keypointlabels": [label]}},
                {**point, **choice, "value": value | {"choices": [seen]}},
            ]
    return found


@pytest.fixture(scope="module")
def project(label_studio: LocalLabelStudio, backend: Serving, images: Path) -> DemoProject:
    """Three images are corrected; the fourth has the rectangles of another model."""
    project = find_or_create(label_studio, "Own exports", CONFIG)
    project.upload(images)
    project.connect(backend.url)
    tasks = project.tasks()
    *corrected, last = sorted(tasks, key=lambda task: uploaded_name(tasks[task]))
    others = {"task": last, "result": boxes(), "model_version": "boxes"}
    api(label_studio, "POST", "/api/predictions/", json=others)
    for number, task in enumerate(corrected):
        body = {"result": annotated(number), "lead_time": 9.0}
        api(label_studio, "POST", f"/api/tasks/{task}/annotations/", json=body)
    versions = f"{backend.url}/versions"
    assert eventually(
        lambda: "+3-" in requests.get(versions, timeout=30).json()["versions"][-1], 60
    ), backend.words()
    return project


def by_kind(regions: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in regions if each["type"] == kind]


def labelled(regions: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Keypoints by their parent and label."""
    return {
        (each["parentID"], each["value"]["keypointlabels"][0]): each
        for each in by_kind(regions, "keypointlabels")
    }


def said(regions: list[dict[str, Any]]) -> dict[str, str]:
    """Id of a point → what was chosen about it."""
    return {each["id"]: each["value"]["choices"][0] for each in by_kind(regions, "choices")}


def test_each_rectangle_gets_its_points_with_their_visibility_which_an_annotator_changes(
    page: Page, project: DemoProject, backend: Serving, tmp_path: Path
) -> None:
    editor = open_label_stream(page, project.url)
    editor.wait_for_dots(4)
    page.screenshot(path=tmp_path / "suggested.png")
    print("picture:", tmp_path / "suggested.png")
    regions = editor.regions()
    rectangles = [each["id"] for each in by_kind(regions, "rectanglelabels")]
    points = labelled(regions)
    assert points.keys() == {(box, label) for box in rectangles for label in ("disc", "square")}
    assert said(regions) == {
        each["id"]: "occluded" if label == "square" else "visible"
        for (_, label), each in points.items()
    }

    # A point in a rectangle can be taken with the mouse, and one is visible after all.
    editor.drag(editor.dots()[-1], right=6, down=4)
    assert [each["value"] for each in by_kind(editor.regions(), "rectanglelabels")] == [
        each["value"] for each in by_kind(regions, "rectanglelabels")
    ]
    page.keyboard.press("Escape")
    page.locator(".lsf-outliner-item__content", has_text="square").first.click()
    assert page.locator("input[name=occluded]").is_checked()
    page.locator("input[name=visible]").click()
    page.screenshot(path=tmp_path / "changed.png")
    before, after = said(regions), said(editor.regions())
    assert [(before[each], after[each]) for each in before if before[each] != after[each]] == [
        ("occluded", "visible")
    ]
    assert labelled(editor.regions()).keys() == points.keys()
    editor.submit()
    assert eventually(lambda: len(verdicts(backend)) == 4), backend.words()
    assert Counter(each[0] for each in verdicts(backend)) == {"accepted": 3, "moved": 1}
    assert sorted(each[1:] for each in verdicts(backend)) == [
        ("disc", "visible", "visible"),
        ("disc", "visible", "visible"),
        ("square", "occluded", "occluded"),
        ("square", "occluded", "visible"),
    ]


def verdicts(backend: Serving) -> list[tuple[str, ...]]:
    """The verdicts about suggested points."""
    with sqlite3.connect(backend.folder / "backend.sqlite3") as database:
        return database.execute(
            "SELECT verdict, final_label, suggested_visibility, final_visibility FROM verdicts "
            "WHERE number IS NOT NULL AND kind = 'point'"
        ).fetchall()


def exported(project: DemoProject, kind: str) -> zipfile.ZipFile:
    """An export of Label Studio."""
    studio = project.label_studio
    address = f"{studio.url}/api/projects/{project.id}/export?exportType={kind}"
    answer = requests.get(address, headers=studio.headers, timeout=60)
    assert answer.ok, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def near(found: Place, expected: Place) -> bool:
    return bool(np.hypot(found[0] - expected[0], found[1] - expected[1]) < NEAR)


def test_label_studios_yolo_has_the_keypoints_of_each_object_in_their_order(
    project: DemoProject,
) -> None:
    archive = exported(project, "YOLO")
    [name] = [each for each in archive.namelist() if re.search("-3-[^/]*txt", each)]
    rows = [[float(each) for each in line.split()] for line in archive.read(name).split(b"\n")]
    assert archive.read("classes.txt").decode().split() == ["sign"]
    for row, (left, top), expected in zip(rows, OBJECTS, places(3), strict=True):
        middle = [each * SIDE for each in row[1:5]]
        assert middle == pytest.approx([left + SIZE / 2, top + SIZE / 2, SIZE, SIZE], abs=0.1)
        points = np.reshape(row[5:], (2, 3))
        for (x, y, seen), label in zip(points.tolist(), ("square", "disc"), strict=True):
            assert seen == 2 and near((x * SIDE, y * SIDE), expected[label]), label


def test_label_studios_coco_has_the_keypoints_in_their_order_and_one_object_an_image(
    project: DemoProject,
) -> None:
    """All keypoints of an image share the slots of one object there: the last one stays."""
    coco = json.loads(exported(project, "COCO").read("result.json"))
    [category] = [each for each in coco["categories"] if "keypoints" in each]
    [image] = [each["id"] for each in coco["images"] if re.search("-3-[^/]*png", each["file_name"])]
    found = [each for each in coco["annotations"] if each["image_id"] == image]
    [instance] = [each for each in found if "keypoints" in each]
    assert len(found) == 3  # and two rectangles
    assert instance["category_id"] == category["id"]
    square, disc = np.reshape(instance["keypoints"], (2, 3)).tolist()
    for (x, y, seen), label in ((square, "square"), (disc, "disc")):
        assert seen == 2
        assert any(near((x, y), each[label]) for each in places(3)), label


def test_the_backends_coco_has_each_object_and_the_visibility(
    project: DemoProject, backend: Serving
) -> None:
    address = f"{backend.url}/export?format=coco&project={project.id}"
    coco = requests.get(address, timeout=60).json()
    assert coco["categories"][0]["keypoints"] == ["disc", "square"]
    flags = [
        (each["keypoints"][2], each["keypoints"][5])
        for each in coco["annotations"]
        if each["area_of"] == "rectangle"
    ]
    assert sorted(flags) == [*[(2, 1)] * 7, (2, 2)]
