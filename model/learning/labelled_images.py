"""Images with one class label each: the only supervision behind the keypoints."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.decoding import read

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)

LeftOut = tuple[str, str]  # name of an image, and why it is not used


@dataclass(frozen=True)
class LabelledImages:
    """A source of images and their labels; training needs nothing else.

    Attributes:
        names: names of the images for people; unique.
        labels: class of each image.
        load: index of an image → (H, W, 3) uint8 RGB; raises OSError or
            `model.decoding.UnreadableImage` if there is no usable image.
        left_out: images of the source that cannot be used, and why.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    load: Callable[[int], NDArray[np.uint8]]
    left_out: tuple[LeftOut, ...] = ()


def shuffled(images: LabelledImages, *, seed: int) -> LabelledImages:
    """Permute the labels, so that a network can only memorise the images."""
    order = np.random.default_rng(seed).permutation(len(images.labels))
    return replace(images, labels=tuple(images.labels[index] for index in order))


def in_folders(folder: Path) -> LabelledImages:
    """Provide images from a folder per class, named after the class; subfolders count.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: no folder in it contains an image.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"expected a folder of images at {folder}, found none")
    paths, labels = [], []
    for place in sorted(folder.iterdir()):
        if not place.is_dir() or place.name.startswith("."):
            continue
        for path in sorted(place.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
                paths.append(path)
                labels.append(place.name)
    if not paths:
        raise ValueError(
            f"expected a folder for each class in {folder}, such as {folder}/saloon/1.jpg; "
            f"found no image in any folder there"
        )
    names = tuple(str(path.relative_to(folder)) for path in paths)
    return LabelledImages(names, tuple(labels), lambda index: read(paths[index]))


def in_table(folder: Path, *, split: str | None = None) -> LabelledImages:
    """Provide a data set with `annotations.csv`; read only its columns image, class and split.

    An image may have several rows, one per keypoint. An image with two classes, or without one, is
    left out.

    Args:
        folder: contains `annotations.csv`; image names are paths relative to it.
        split: use only rows with this value in `split`; None for all rows.

    Raises:
        FileNotFoundError: there is no `annotations.csv`.
        ValueError: a column is missing, or no row has this split.
    """
    table = folder / "annotations.csv"
    if not table.is_file():
        raise FileNotFoundError(f"expected a table of images at {table}, found none")
    classes: dict[str, set[str]] = {}
    splits: set[str] = set()
    for row in _image_class_and_split(table, needs_split=split is not None):
        splits.add(row.get("split", ""))
        if split is None or row["split"] == split:
            classes.setdefault(row["image"], set()).add(row["class"])
    if not classes:
        raise ValueError(
            f"expected rows of split {split!r} in {table}; it has {', '.join(sorted(splits))}"
            if splits
            else f"expected a row for each image in {table}; it has none"
        )
    single = {
        image: found for image, found in classes.items() if len(found) == 1 and "" not in found
    }
    names = tuple(single)
    return LabelledImages(
        names,
        tuple(next(iter(found)) for found in single.values()),
        lambda index: read(folder / names[index]),
        tuple(_without_one_class(classes)),
    )


def _without_one_class(classes: Mapping[str, set[str]]) -> list[LeftOut]:
    """List the images that have two classes or none."""
    left_out = []
    for image, found in classes.items():
        if "" in found:
            left_out.append((image, "it has a row without a class"))
        elif len(found) > 1:
            left_out.append((image, f"it is called {' and '.join(sorted(found))}"))
    return left_out


def _image_class_and_split(table: Path, *, needs_split: bool) -> list[dict[str, str]]:
    """Return these columns of every row, stripped; ignore all others."""
    wanted = ["image", "class", *(["split"] if needs_split else [])]
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            missing = [name for name in wanted if name not in header]
            if missing:
                raise ValueError(
                    f"expected the columns {', '.join(wanted)} in {table}; "
                    f"{' and '.join(missing)} is missing from: {', '.join(header) or 'no header'}"
                )
            places = [header.index(name) for name in wanted]
            return [
                {name: row[place].strip() for name, place in zip(wanted, places, strict=True)}
                for row in rows
                if len(row) > max(places)
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{table} cannot be read as CSV in UTF-8: {error}") from error
