"""What every method is asked for: its best points, at an equal distance from each other."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.keypoint import Box
from model.peaks import foerstner, nms

Points = NDArray[np.float64]

# (slots, smallest distance between points, px) → at most so many points (N, 2), best first.
Ranking = Callable[[int, float], Points]


@dataclass(frozen=True, eq=False)
class MapRanking:
    """The peaks of a map over a box, highest first.

    Attributes:
        values: (h, w), one row and column for each cell of the box.
        box: of whole pixels, on the original image.
        grey: (h, w) brightness for the Förstner operator; None leaves peaks on their cells.
        seed: of the order of equal peaks.
    """

    values: NDArray[np.float64]
    box: Box
    grey: NDArray[np.float64] | None = None
    seed: int = 0
    _ranked: dict[float, Points] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, slots: int, distance: float) -> Points:
        if distance not in self._ranked:
            self._ranked[distance] = self._all_peaks(distance)
        return self._ranked[distance][:slots]

    def _all_peaks(self, distance: float) -> Points:
        height, width = self.values.shape
        cell = np.array([self.box.width / width, self.box.height / height])
        peaks = nms.ranked_peaks(
            np.ascontiguousarray(self.values, np.float64),
            radius=distance,
            pixel_width=cell[0],
            pixel_height=cell[1],
            seed=self.seed,
        )
        places = peaks[:, ::-1].astype(np.float64)
        if self.grey is not None:
            places = foerstner.refine(self.grey, places)
        return np.asarray((places + 0.5) * cell + [self.box.left - 0.5, self.box.top - 0.5])


def uniform(box: Box, seed: int) -> Ranking:
    """Points drawn evenly over a box, each at the distance from those before where it fits."""

    def ranking(slots: int, distance: float) -> Points:
        rng = np.random.default_rng(seed)
        low = np.array([box.left - 0.5, box.top - 0.5])
        high = low + np.array([box.width, box.height])
        drawn = rng.uniform(low, high, (20 * slots, 2))
        return _far_apart(drawn, distance)[:slots]

    return ranking


def grid(box: Box) -> Ranking:
    """The centres of equal cells, as near to squares as so many cells allow; by rows."""

    def ranking(slots: int, distance: float) -> Points:
        columns = max(1, round((slots * box.width / box.height) ** 0.5))
        rows = -(-slots // columns)
        x = box.left - 0.5 + (np.arange(columns) + 0.5) * box.width / columns
        y = box.top - 0.5 + (np.arange(rows) + 0.5) * box.height / rows
        cells = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        # Evenly thinned to the slots, so that no end of the box is left out.
        return np.asarray(cells[np.arange(slots) * len(cells) // slots])

    return ranking


def strongest(points: Points, strengths: NDArray[np.float64]) -> Ranking:
    """Given points (N, 2), by falling strength (N,), the weaker of two near ones left out."""
    best_first = points[np.argsort(-strengths, kind="stable")]

    def ranking(slots: int, distance: float) -> Points:
        return _far_apart(best_first, distance)[:slots]

    return ranking


def _far_apart(points: Points, distance: float) -> Points:
    """The points (N, 2) that are farther than `distance` from every one kept before them."""
    kept: list[int] = []
    for index in range(len(points)):
        if (np.linalg.norm(points[kept] - points[index], axis=1) > distance).all():
            kept.append(index)
    return np.asarray(points[kept])
