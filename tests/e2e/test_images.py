"""Images of every kind, good and bad, in one project."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import requests
from editor import Editor
from PIL import Image
from playwright.sync_api import Page
from serving import Serving, eventually

from backend.commands.demo_project import DemoProject, find_or_create, label_config, uploaded_name
from backend.local.label_studio import LocalLabelStudio
from drawings.drawing import draw

CONFIG = label_config(("saloon", "van", "bus"))
KEYPOINTS = 10
ROTATED = 6  # EXIF orientation: the camera was held on its side, turn by 90° clockwise to view


def drawing(index: int = 0) -> Image.Image:
    return Image.fromarray(draw(index, (480, 320), seed=9).image)


def save_16_bit(path: Path) -> None:
    grey = np.asarray(drawing().convert("L")).astype(np.uint16)
    Image.fromarray(grey * 257).save(path)


def save_with_alpha(path: Path) -> None:
    image = drawing().convert("RGBA")
    image.putalpha(128)
    image.save(path)


def save_animation(path: Path) -> None:
    drawing(0).save(path, save_all=True, append_images=[drawing(1), drawing(2)])


def save_truncated(path: Path) -> None:
    drawing().save(path)
    path.write_bytes(path.read_bytes()[:2000])


GOOD: dict[str, Callable[[Path], object]] = {
    "colour.jpg": lambda path: drawing().save(path),
    "cmyk.jpg": lambda path: drawing().convert("CMYK").save(path),
    "grey.png": lambda path: drawing().convert("L").save(path),
    "sixteen_bit.png": save_16_bit,
    "alpha.png": save_with_alpha,
    "palette.png": lambda path: drawing().convert("P").save(path),
    "animated.gif": save_animation,
    "animated.webp": save_animation,
}
BAD: dict[str, Callable[[Path], object]] = {
    "truncated.jpg": save_truncated,
    "text.png": lambda path: path.write_text("This is not an image."),
    "hollow.jpg": lambda path: path.write_bytes(b"\xff\xd8\xff\xe0"),
}


@pytest.fixture(scope="module")
def project(
    label_studio: LocalLabelStudio, backend: Serving, tmp_path_factory: pytest.TempPathFactory
) -> DemoProject:
    """Good and bad images together, retrieved in one batch."""
    folder = tmp_path_factory.mktemp("images")
    for name, save in (GOOD | BAD).items():
        save(folder / name)
    project = find_or_create(label_studio, "Images of every kind", CONFIG)
    project.upload(folder)
    project.connect(backend.url)
    project.retrieve_predictions()
    return project


def task_of(project: DemoProject, name: str) -> int:
    """The task of an image; its name in Label Studio holds a part of its digest."""
    stem, _, suffix = name.partition(".")
    pattern = re.compile(rf"{stem}-[0-9a-f]+\.{suffix}")
    [task] = [t for t, i in project.tasks().items() if pattern.fullmatch(uploaded_name(i))]
    return task


@pytest.mark.parametrize("name", GOOD)
def test_a_readable_image_gets_its_suggestion(name, project, backend):
    version = backend.health()["model_version"]
    task = task_of(project, name)

    assert eventually(lambda: task in project.predictions(version)), backend.words()

    [prediction] = project.predictions(version)[task]
    kinds = [region["type"] for region in prediction.result]
    assert kinds.count("keypointlabels") == KEYPOINTS
    assert kinds.count("choices") == 1


@pytest.mark.parametrize("name", BAD)
def test_an_unreadable_image_gets_a_reason_and_harms_no_other(name, project, backend):
    task = task_of(project, name)

    def job():
        return requests.get(f"{backend.url}/jobs/{task}", timeout=10).json()

    assert eventually(lambda: "failed" in str(job())), job()
    assert "Traceback" not in str(job())
    assert "image" in str(job())
    assert task not in project.predictions(backend.health()["model_version"])


def test_points_of_a_photo_held_sideways_are_where_they_are_on_the_upright_one(
    page: Page, label_studio: LocalLabelStudio, backend: Serving, tmp_path: Path
):
    """The browser turns the image upright before it draws the points."""
    upright = drawing(3)
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "sideways.png", exif=exif)
    project = find_or_create(label_studio, "A photo held sideways", CONFIG)
    project.upload(tmp_path)
    project.connect(backend.url)
    project.retrieve_predictions()
    version = backend.health()["model_version"]
    assert eventually(lambda: len(project.predictions(version)) == 2)

    results = {}
    for name in ("upright.png", "sideways.png"):
        [prediction] = project.predictions(version)[task_of(project, name)]
        regions = [r for r in prediction.result if r["type"] == "keypointlabels"]
        results[name] = [(r["value"]["x"], r["value"]["y"]) for r in regions]
        sizes = {(r["original_width"], r["original_height"]) for r in regions}
        assert sizes == {upright.size}
    np.testing.assert_allclose(results["sideways.png"], results["upright.png"])

    page.goto(f"{project.url}?task={task_of(project, 'sideways.png')}")
    editor = Editor(page)
    dots = editor.wait_for_dots(KEYPOINTS)
    image = editor.image()
    assert (image["naturalWidth"], image["naturalHeight"]) == upright.size
    drawn = sorted(
        (
            (dot.x - image["x"]) / image["width"] * 100,
            (dot.y - image["y"]) / image["height"] * 100,
        )
        for dot in dots
    )
    np.testing.assert_allclose(drawn, sorted(results["upright.png"]), atol=0.3)
