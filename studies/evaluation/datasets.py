"""Images with annotated landmarks: a folder with `annotations.csv`, or COCO keypoints."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.keypoint import Box, edge_to_centre

# An image with fewer visible landmarks is left out.
FEWEST_LANDMARKS = 5

COLUMNS = (
    "image", "class", "split", "bbox_x", "bbox_y", "bbox_w", "bbox_h",
    "keypoint", "x", "y", "visible",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Annotated:
    """An image with its annotation.

    Attributes:
        path: path of the image file.
        name: its path within the data set.
        class_name: class of the object.
        box: box around the object.
        names: names of the visible landmarks.
        landmarks: (N, 2), x and y of the visible landmarks, px; (0, 0) is the centre of the first
            pixel.
    """

    path: Path
    name: str
    class_name: str
    box: Box
    names: tuple[str, ...]
    landmarks: NDArray[np.float64]

    @property
    def length(self) -> float:
        """Longer side of the box, px: the unit of all distances."""
        return max(self.box.width, self.box.height)


def read_data_set(folder: Path, split: str) -> list[Annotated]:
    """Read the images of one split that have at least `FEWEST_LANDMARKS` visible landmarks.

    Args:
        folder: holds `annotations.csv` (a row for each image and landmark), or
            `annotations.json` (COCO keypoints; each object counts as an image, and the split is
            ignored).

    Raises:
        FileNotFoundError: the folder holds neither.
        ValueError: a column is missing, a value is not a number, or no image is left.
    """
    table, coco = folder / "annotations.csv", folder / "annotations.json"
    if table.is_file():
        images = list(_from_csv(table, split))
    elif coco.is_file():
        images = list(_from_coco(coco))
    else:
        raise FileNotFoundError(f"expected annotations.csv or annotations.json in {folder}")
    images = [image for image in images if len(image.landmarks) >= FEWEST_LANDMARKS]
    if not images:
        raise ValueError(
            f"expected images of split {split!r} with at least {FEWEST_LANDMARKS} visible "
            f"landmarks in {folder}, found none"
        )
    return images


def _from_csv(table: Path, split: str) -> Iterator[Annotated]:
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"expected the columns {', '.join(missing)} in {table}")
        rows: dict[str, list[dict[str, str]]] = {}
        for row in reader:
            if row["split"] == split:
                rows.setdefault(row["image"], []).append(row)
    for name, of_image in rows.items():
        try:
            yield _annotated(table.parent, name, of_image)
        except ValueError as error:
            raise ValueError(f"{table}, image {name}: {error}") from error


def _annotated(folder: Path, name: str, rows: list[dict[str, str]]) -> Annotated:
    seen = [row for row in rows if row["visible"] == "1"]
    left, top, width, height = (float(rows[0][f"bbox_{side}"]) for side in "xywh")
    places = [(float(row["x"]), float(row["y"])) for row in seen]
    return Annotated(
        path=folder / name,
        name=name,
        class_name=rows[0]["class"],
        box=Box(left, top, width, height),
        names=tuple(row["keypoint"] for row in seen),
        landmarks=edge_to_centre(np.array(places, np.float64).reshape(-1, 2)),
    )


def _from_coco(path: Path) -> Iterator[Annotated]:
    """Read every object in COCO's format, https://cocodataset.org/#format-data."""
    facts = json.loads(path.read_text(encoding="utf-8"))
    images = {image["id"]: image["file_name"] for image in facts["images"]}
    categories = {category["id"]: category for category in facts["categories"]}
    for annotation in facts["annotations"]:
        category = categories[annotation["category_id"]]
        triples = np.reshape(np.array(annotation["keypoints"], np.float64), (-1, 3))
        visible = triples[:, 2] == 2
        yield Annotated(
            path=path.parent / images[annotation["image_id"]],
            name=f"{images[annotation['image_id']]}#{annotation['id']}",
            class_name=category["name"],
            box=Box(*map(float, annotation["bbox"])),
            names=tuple(np.array(category["keypoints"])[visible].tolist()),
            landmarks=edge_to_centre(triples[visible, :2]),
        )


def spread(images: list[Annotated], count: int | None) -> list[Annotated]:
    """Return at most `count` of the images, taken at even steps; all of them if it is None."""
    if count is None or count >= len(images):
        return images
    return [images[index * len(images) // count] for index in range(count)]
