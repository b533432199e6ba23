"""Rankings: the best points of a method, at the same distance from each other for all methods."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.keypoint import Box, centre_to_edge, edge_to_centre
from model.peaks import foerstner, nms

Points = NDArray[np.float64]

# (slots, smallest distance between points, px) → points (N, 2), N <= slots, best first.
Ranking = Callable[[int, float], Points]


@dataclass(frozen=True, eq=False)
class MapRanking:
    """The peaks of a map over a box, highest first.

    Attributes:
        values: (h, w), the map, resampled over the box.
        box: the part of the original image that the map covers.
        grey: (h, w), brightness for the Förstner operator; None leaves peaks on their cells.
        seed: decides the order of equal peaks.
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
        corner = np.array([self.box.left, self.box.top])
        return edge_to_centre(corner + centre_to_edge(places) * cell)


def uniform(box: Box, seed: int) -> Ranking:
    """Rank points drawn uniformly over a box; one too close to an earlier point is dropped."""

    def ranking(slots: int, distance: float) -> Points:
        rng = np.random.default_rng(seed)
        low = edge_to_centre(np.array([box.left, box.top]))
        high = low + np.array([box.width, box.height])
        drawn = rng.uniform(low, high, (20 * slots, 2))
        return _far_apart(drawn, distance)[:slots]

    return ranking


def grid(box: Box) -> Ranking:
    """Rank the centres of equal cells, row by row; the cells are as square as possible."""

    def ranking(slots: int, distance: float) -> Points:
        columns = max(1, round((slots * box.width / box.height) ** 0.5))
        rows = -(-slots // columns)
        x = edge_to_centre(box.left + centre_to_edge(np.arange(columns)) * box.width / columns)
        y = edge_to_centre(box.top + centre_to_edge(np.arange(rows)) * box.height / rows)
        cells = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        # Left-over cells are dropped evenly, so that every side of the box keeps its points.
        return np.asarray(cells[np.arange(slots) * len(cells) // slots])

    return ranking


def strongest(points: Points, strengths: NDArray[np.float64]) -> Ranking:
    """Rank points (N, 2) by strength (N,); the weaker of two close points is dropped."""
    best_first = points[np.argsort(-strengths, kind="stable")]

    def ranking(slots: int, distance: float) -> Points:
        return _far_apart(best_first, distance)[:slots]

    return ranking


def _far_apart(points: Points, distance: float) -> Points:
    """Return the points (N, 2) that are farther than `distance` from all points kept before."""
    kept: list[int] = []
    for index in range(len(points)):
        if (np.linalg.norm(points[kept] - points[index], axis=1) > distance).all():
            kept.append(index)
    return np.asarray(points[kept])
