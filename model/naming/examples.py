"""A corrected image, and the two views of it that are learnt: as it is, and mirrored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.keypoint import Box
from model.naming.features import ExampleFeatures
from model.naming.symmetry import mirrored_name


@dataclass(frozen=True, eq=False)
class Example:
    """One object with its final points.

    Attributes:
        features: of its image, cut out by `box`.
        points: label → x and y, px; (0, 0) is the centre of the image's first pixel. A point
            outside the frame of the features teaches only that its label is visible.
        absent: labels that somebody decided not to place. Labels that are in neither are unknown.
        box: of the object; None for the whole image.
        group: class of the object; "" if unknown. Not used in learning.
        name: identifies the example, for the caller; not used in learning.
    """

    features: ExampleFeatures
    points: Mapping[str, tuple[float, float]]
    absent: frozenset[str] = frozenset()
    box: Box | None = None
    group: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        both = self.absent & self.points.keys()
        if both:
            raise ValueError(f"expected a label to have a point or be absent, got both: {both}")
        numbers = np.array(list(self.points.values()), np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError(f"expected finite coordinates, got {dict(self.points)}")


@dataclass(frozen=True, eq=False)
class View:
    """One view of an example.

    Attributes:
        values: (grid, grid, D) float32.
        points: label as it is in this view → (2,) unit coordinates.
        absent: labels as they are in this view.
    """

    values: NDArray[np.float32]
    points: Mapping[str, NDArray[np.float64]]
    absent: frozenset[str]


def views(example: Example) -> Iterator[View]:
    """Yield an example as it is and, if labels name sides, as it is in the mirror.

    In the mirror left and right change places. Where no label of the example says left or right,
    nobody knows what a landmark is called in the mirror: on the other side of a car, the first
    wheel may be the second one.
    """
    features = example.features
    points = {
        label: features.frame.to_unit(np.array(point, np.float64))
        for label, point in example.points.items()
    }
    yield View(features.seen.astype(np.float32), points, example.absent)
    if not any(mirrored_name(label) != label for label in points.keys() | example.absent):
        return
    yield View(
        features.mirrored.astype(np.float32),
        {mirrored_name(label): np.array([1 - x, y]) for label, (x, y) in points.items()},
        frozenset(map(mirrored_name, example.absent)),
    )


def layout(view: View, labels: Sequence[str]) -> NDArray[np.float64]:
    """Return (L, 2) unit coordinates of a view's points in the order of the labels; NaN if none."""
    nowhere = np.full(2, np.nan)
    return np.array([view.points.get(label, nowhere) for label in labels]).reshape(-1, 2)


def labels_of(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return every label that some example has a point of, sorted."""
    return tuple(sorted({label for example in examples for label in example.points}))
