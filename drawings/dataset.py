"""Drawings as a folder of files, which evaluation and training read like any other data set."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import cv2
from tqdm import tqdm

from drawings.drawing import Drawing, draw
from drawings.shapes import CLASSES
from model.keypoint import centre_to_edge

COLUMNS = (
    "image", "class", "split", "width", "height", "bbox_x", "bbox_y", "bbox_w", "bbox_h",
    "keypoint", "x", "y", "visible",
)  # fmt: skip


def write_data_set(
    folder: Path,
    count: int,
    *,
    seed: int = 0,
    size: tuple[int, int] = (320, 240),
    class_name: str | None = None,
    facing: Literal["left", "right"] | None = None,
    test_share: float = 0.25,
    progress: bool = False,
) -> None:
    """Write drawings as PNG, and `annotations.csv` with a row for each image and landmark.

    In the CSV (0, 0) is the image's top left *corner*, as in other data sets; x and y are empty if
    the landmark is not visible. The column `split` is "test" for the last drawings, else "train".

    Args:
        folder: made if it is missing; receives `images/CLASS/NUMBER.png`.
        count: number of drawings; the classes take turns, unless there is one `class_name`.
        seed, size, class_name, facing: as for `draw`.
        test_share: share of the drawings in split "test".
        progress: whether to show a progress bar.

    Raises:
        ValueError: there are fewer drawings than classes.
        OSError: the folder cannot be written, or the disk is full.
    """
    if class_name is None and count < len(CLASSES):
        raise ValueError(f"expected at least {len(CLASSES)} drawings, one a class, got {count}")
    first_test = count - round(count * test_share)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "annotations.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for index in tqdm(range(count), desc="drawing", unit="image", disable=not progress):
            drawing = draw(index, size, seed=seed, class_name=class_name, facing=facing)
            name = f"images/{drawing.class_name}/{index:05d}.png"
            _write_png(drawing, folder / name)
            split = "train" if index < first_test else "test"
            writer.writerows(_rows(drawing, name, split))


def _write_png(drawing: Drawing, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(drawing.image, cv2.COLOR_RGB2BGR))
    path.write_bytes(encoded.tobytes())


def _rows(drawing: Drawing, name: str, split: str) -> Iterator[tuple[object, ...]]:
    height, width = drawing.image.shape[:2]
    box = drawing.box
    sides = [round(side, 3) for side in (box.left, box.top, box.width, box.height)]
    for landmark in drawing.landmarks:
        position = [round(centre_to_edge(side), 3) for side in (landmark.x, landmark.y)]
        seen = position if landmark.visible else ["", ""]
        start = (name, drawing.class_name, split, width, height, *sides)
        yield (*start, landmark.name, *seen, int(landmark.visible))
