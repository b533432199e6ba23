"""The drawings of the demonstration: cars whose landmarks are known."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from model.keypoint import edge_to_centre

# Parts of the side that every drawing shows.
LANDMARKS = (
    "front wheel",
    "rear wheel",
    "head lamp",
    "tail lamp",
    "mirror",
    "door handle",
    "windscreen base",
    "rear window base",
)

# The network is trained on drawings of another seed.
_SEED = 20_000
_COUNT = 24
_SIZE = (640, 480)
_COMPLETE = "complete"


@dataclass(frozen=True)
class TrueLandmarks:
    """Where the landmarks of a drawing are.

    Attributes:
        size: width and height of the image, px.
        length: longer side of the car's box, px.
        points: landmark → x and y, px, for those that are visible; (0, 0) is the centre of the
            first pixel.
    """

    size: tuple[int, int]
    length: float
    points: Mapping[str, tuple[float, float]]


def draw_cars(folder: Path) -> Path:
    """Return the folder of the drawn images; draw them if they are not there yet.

    All are saloons that face right, because five corrected images teach one kind of object seen
    from one side, and not several.

    Raises:
        RuntimeError: the package that draws is not installed.
    """
    if not (folder / _COMPLETE).exists():
        try:
            from drawings.dataset import write_data_set  # not part of the Docker image
        except ModuleNotFoundError as error:
            if error.name not in ("drawings", "drawings.dataset"):
                raise
            raise RuntimeError(
                "expected the package drawings, which draws the images of the demonstration, found "
                "none: the Docker image does not contain it; run the demonstration from a clone of "
                "the repository, or give a folder of images with --images"
            ) from error
        write_data_set(
            folder,
            _COUNT,
            seed=_SEED,
            size=_SIZE,
            class_name="saloon",
            facing="right",
            test_share=1,
            progress=True,
        )
        (folder / _COMPLETE).touch()
    return folder / "images"


def true_landmarks(folder: Path) -> Mapping[Path, TrueLandmarks]:
    """Return image → its true landmarks, for the drawings that `draw_cars` has put in a folder."""
    with (folder / "annotations.csv").open(newline="", encoding="utf-8") as file:
        by_image = groupby(csv.DictReader(file), key=itemgetter("image"))
        return {folder / image: _landmarks(list(rows)) for image, rows in by_image}


def _landmarks(rows: Sequence[Mapping[str, str]]) -> TrueLandmarks:
    """Read the rows of one image."""
    first = rows[0]
    return TrueLandmarks(
        size=(int(first["width"]), int(first["height"])),
        length=max(float(first["bbox_w"]), float(first["bbox_h"])),
        points={
            row["keypoint"]: (edge_to_centre(float(row["x"])), edge_to_centre(float(row["y"])))
            for row in rows
            if row["keypoint"] in LANDMARKS and row["visible"] == "1"
        },
    )
