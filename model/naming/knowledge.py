"""What examples teach, before any calibration: heat maps of every label, and layouts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.naming.examples import View, layout
from model.naming.features import ExampleFeatures
from model.naming.grid import is_known, sample
from model.naming.moments import Moments
from model.naming.symmetry import mirrored_name

# The most similar examples of a label whose similarities are averaged; of fewer, the best counts:
# an object that looks to the left resembles one of an image and its mirror image.
NEAREST = 3
# Whitening divides each principal direction by √(variance + shrinkage · mean variance). Few views
# do not tell the variances well: SHRINKAGE · (1 + SHRINKAGE_VIEWS / views).
SHRINKAGE = 0.5
SHRINKAGE_VIEWS = 4
# Principal directions that are kept: 50, 80 and all 160 find as many points, within the error.
DIRECTIONS = 64
# A descriptor is taken at a point and at this many cells to its right, left, bottom and top.
REACH = 2
# Descriptors that are kept: of all labels together, but of each label at least so many. They take
# most of the time of a prediction.
MOST_DESCRIPTORS, FEWEST_DESCRIPTORS = 6000, 20
AROUND = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]) * REACH

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Whitening:
    """Makes features of a cell comparable by their scalar product.

    Attributes:
        mean: (D,), subtracted first.
        transform: (D, K), applied then; the result is divided by its length.
    """

    mean: Array
    transform: Array

    def __call__(self, values: Array) -> Array:
        """Return (..., K) unit vectors for (..., D) features."""
        moved = (values - self.mean) @ self.transform
        length = np.linalg.norm(moved, axis=-1, keepdims=True)
        return np.asarray(moved / np.maximum(length, 1e-6), np.float32)


def whitening(moments: Moments, views: int) -> Whitening:
    """Return the whitening by the covariance of all cells, onto their principal directions.

    Args:
        views: how many the moments are of.
    """
    variances, directions = np.linalg.eigh(moments.covariance())
    shrinkage = SHRINKAGE * (1 + SHRINKAGE_VIEWS / views)
    scale = 1 / np.sqrt(variances.clip(0) + shrinkage * max(variances.mean(), 1e-12))
    return Whitening(
        moments.means().astype(np.float32),
        (directions * scale)[:, -DIRECTIONS:].astype(np.float32),
    )


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Everything that suggestions are made of.

    Attributes:
        labels: names of the landmarks, in the order of all arrays.
        weights: (D + 1, L) ridge regressions to heat maps.
        whitening: for the similarities.
        descriptors: of each label, (N, 5K) whitened features at and around its newest points.
        layouts: (V, L, 2) unit coordinates; NaN without a point.
        decided: (V, L), whether it is known that the label has a point in the view, or has none.
    """

    labels: tuple[str, ...]
    weights: Array
    whitening: Whitening
    descriptors: tuple[Array, ...]
    layouts: NDArray[np.float64]
    decided: NDArray[np.bool_]

    @property
    def opposites(self) -> NDArray[np.intp]:
        """Index of each label's name in the mirror image; its own where there is no such label."""
        index = {label: number for number, label in enumerate(self.labels)}
        return np.array([index.get(mirrored_name(label), index[label]) for label in self.labels])

    @property
    def names_sides(self) -> bool:
        """Whether some label has an opposite."""
        return bool((self.opposites != np.arange(len(self.labels))).any())


@dataclass(frozen=True, eq=False)
class Taught:
    """One view's part of the knowledge.

    Attributes:
        found: (N,) indices of the labels with a point inside the frame.
        descriptors: (N, 5, D) features at and around these points, before whitening.
        layout: (L, 2) unit coordinates; NaN without a point.
        decided: (L,), whether it is known that the label has a point, or has none.
    """

    found: NDArray[np.intp]
    descriptors: Array
    layout: NDArray[np.float64]
    decided: NDArray[np.bool_]


def taught(view: View, labels: Sequence[str]) -> Taught:
    """Return what a view teaches about each of the labels."""
    points = layout(view, labels)
    absent = np.array([label in view.absent for label in labels], bool)
    found = np.flatnonzero(((points >= 0) & (points <= 1)).all(axis=1))
    near = points[found, None] + AROUND / len(view.values)
    descriptors = sample(view.values, near.reshape(-1, 2)).reshape(*near.shape[:2], -1)
    return Taught(found, descriptors, points, absent | is_known(points))


def knowledge(labels: Sequence[str], moments: Moments, parts: Sequence[Taught]) -> Knowledge:
    """Combine the moments of some examples with what each of their views teaches, oldest first."""
    white = whitening(moments, len(parts))
    numbers = np.concatenate([part.found for part in parts])
    most = max(FEWEST_DESCRIPTORS, MOST_DESCRIPTORS // len(labels))
    newest = [np.flatnonzero(numbers == label)[-most:] for label in range(len(labels))]
    rows = np.concatenate([part.descriptors for part in parts])[np.concatenate(newest)]
    ends = np.cumsum([len(each) for each in newest])[:-1]
    return Knowledge(
        tuple(labels),
        moments.weights(labels),
        white,
        tuple(np.split(_joined(white(rows)), ends)),
        np.array([part.layout for part in parts]),
        np.array([part.decided for part in parts]),
    )


@dataclass(frozen=True, eq=False)
class HeatMaps:
    """Evidence for each label, (L, grid, grid) each.

    Attributes:
        similarity: mean similarity to the nearest examples, in [-1, 1]; 0 for an unknown label.
        regression: the ridge regression's heat, about 1 at a sure point and 0 elsewhere.
    """

    similarity: NDArray[np.float64]
    regression: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.float64]:
        """The sum of both."""
        return self.similarity + self.regression


def heat_maps(known: Knowledge, features: ExampleFeatures) -> HeatMaps:
    """Return the evidence in an image.

    Where labels name sides, it is the mean of the image's own and that in its mirror image.
    """
    evidence = _of_view(known, features.seen).astype(np.float64)
    if known.names_sides:
        mirrored = _of_view(known, features.mirrored)
        evidence = (evidence + mirrored[:, known.opposites, :, ::-1]) / 2
    similarity, regression = evidence
    return HeatMaps(similarity, regression)


def _of_view(known: Knowledge, values: NDArray[np.float16]) -> Array:
    """Return (2, L, grid, grid), similarity and regression."""
    grid, _, dimensions = values.shape
    cells = values.reshape(grid * grid, dimensions).astype(np.float32)
    regression = cells @ known.weights[:-1] + known.weights[-1]
    white = _joined(_neighbours(known.whitening(cells).reshape(grid, grid, -1)))
    similarity = np.zeros_like(regression)
    for number, examples in enumerate(known.descriptors):
        if len(examples):
            similarity[:, number] = _mean_of_nearest(white @ examples.T)
    return np.stack([similarity, regression]).transpose(0, 2, 1).reshape(2, -1, grid, grid)


def _joined(parts: Array) -> Array:
    """Join (..., 5, K) unit vectors to (..., 5K) unit vectors."""
    return parts.reshape(*parts.shape[:-2], -1) / np.float32(np.sqrt(len(AROUND)))


def _neighbours(values: Array) -> Array:
    """Return (grid², 5, K): each cell's value and those around it, repeated beyond the border."""
    grid = len(values)
    padded = np.pad(values, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="edge")
    shifted = [
        padded[REACH + y : REACH + y + grid, REACH + x : REACH + x + grid] for x, y in AROUND
    ]
    return np.stack(shifted, axis=2).reshape(grid * grid, len(AROUND), -1)


def _mean_of_nearest(similarities: Array) -> Array:
    """Return the mean of the `NEAREST` highest of each row's (cells, examples) similarities.

    The highest, if there are fewer.
    """
    count = similarities.shape[1]
    if count < NEAREST:
        return np.asarray(similarities.max(axis=1), np.float32)
    if count > NEAREST:
        similarities = np.partition(similarities, count - NEAREST, axis=1)[:, -NEAREST:]
    return np.asarray(similarities.mean(axis=1), np.float32)
