"""Annotated images as examples, with their features kept on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tqdm import tqdm

from model.decoding import read
from model.keypoint import Box
from model.naming.examples import Example
from model.naming.features import ExampleFeatures, FeatureExtractor
from studies.evaluation.datasets import Annotated, read_data_set


@dataclass(frozen=True, eq=False)
class Case:
    """An annotated image with its features.

    Attributes:
        example: with every visible landmark as a point, all others of its class as absent.
        length: longer side of the object's box, px.
        look: returns the features of the part of the image in a box.
    """

    example: Example
    length: float
    annotated: Annotated
    look: Callable[[Box], ExampleFeatures]


def read_cases(
    folder: Path, split: str, extractor: FeatureExtractor, cache: Path, *, boxed: bool = True
) -> list[Case]:
    """Read the images of a split, and describe those that the cache lacks.

    Args:
        cache: folder for the features, one file an image and extractor.
        boxed: describe the object's box; else the whole image.
    """
    images = read_data_set(folder, split)
    labels: dict[str, set[str]] = {}
    for image in images:
        labels.setdefault(image.class_name, set()).update(image.names)
    cache.mkdir(parents=True, exist_ok=True)
    return [
        _case(image, labels[image.class_name], extractor, cache, boxed)
        for image in tqdm(images, desc=f"{folder.name}, {split}", leave=False)
    ]


def _case(
    image: Annotated, labels: set[str], extractor: FeatureExtractor, cache: Path, boxed: bool
) -> Case:
    box = image.box if boxed else None

    def look(box: Box | None) -> ExampleFeatures:
        name = sha256(f"{extractor.key} {image.path} {box}".encode()).hexdigest()
        return cached(cache / name, lambda: extractor.extract(read(image.path), box))

    features = look(box)
    points = {
        label: (float(x), float(y))
        for label, (x, y) in zip(image.names, image.landmarks, strict=True)
    }
    absent = frozenset(labels - points.keys())
    example = Example(features, points, absent, box, image.class_name, image.name)
    return Case(example, image.length, image, look)


def cached(path: Path, make: Callable[[], ExampleFeatures]) -> ExampleFeatures:
    """Return the features in a file; make and write them if there is none."""
    if path.exists():
        return ExampleFeatures.from_bytes(path.read_bytes())
    data = make().to_bytes()
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(path)
    return ExampleFeatures.from_bytes(data)  # rounded as if it came from the file
