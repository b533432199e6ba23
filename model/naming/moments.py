"""Sums over examples, from which ridge regressions to heat maps follow in closed form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.naming.examples import Example, View, views
from model.naming.grid import bumps

# Deviation of the Gaussian around a point, in unit coordinates.
SIGMA = 0.03
# Share of the mean variance that is added to every variance.
RIDGE = 1e-3

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Normal equations of the regression of heat maps on features with a constant.

    They are sums over the cells of all views: adding an example and subtracting it again leaves
    what there was, up to rounding of float64.

    Attributes:
        gram: (D + 1, D + 1), Σ x xᵀ.
        cross: label → (D + 1,), Σ x·heat; labels that never had a point are missing.
    """

    gram: Floats
    cross: Mapping[str, Floats]

    def __add__(self, other: "Moments") -> "Moments":
        return self._combined(other, 1)

    def __sub__(self, other: "Moments") -> "Moments":
        return self._combined(other, -1)

    def _combined(self, other: "Moments", sign: int) -> "Moments":
        nothing = np.zeros(len(self.gram))
        labels = self.cross.keys() | other.cross.keys()
        cross = {
            label: self.cross.get(label, nothing) + sign * other.cross.get(label, nothing)
            for label in labels
        }
        return Moments(self.gram + sign * other.gram, cross)

    def means(self) -> Floats:
        """Return the (D,) mean features of a cell."""
        return np.asarray(self.gram[-1, :-1] / self.gram[-1, -1])

    def covariance(self) -> Floats:
        """Return the (D, D) covariance of the features of a cell."""
        mean = self.means()
        return np.asarray(self.gram[:-1, :-1] / self.gram[-1, -1] - np.outer(mean, mean))

    def weights(self, labels: Sequence[str]) -> NDArray[np.float32]:
        """Return (D + 1, L) weights of the ridge regressions; the last row is the constant.

        With X the features of all cells, they solve (XᵀX + λI) w = Xᵀheat, where λ is `RIDGE` times
        the mean of XᵀX's diagonal. The constant is not penalised.
        """
        size = len(self.gram) - 1
        penalty = RIDGE * np.trace(self.gram[:-1, :-1]) / size
        penalties = np.append(np.full(size, penalty), 0)
        nothing = np.zeros(size + 1)
        targets = np.array([self.cross.get(label, nothing) for label in labels])
        solved = np.linalg.solve(self.gram + np.diag(penalties), targets.reshape(-1, size + 1).T)
        return np.asarray(solved, np.float32)


def moments(example: Example) -> Moments:
    """Return the moments of one example, in all its views."""
    return total([view_moments(view) for view in views(example)])


def total(parts: Sequence[Moments]) -> Moments:
    """Return the sum of one or more moments."""
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result


def view_moments(view: View) -> Moments:
    """Return the moments of one view."""
    grid, _, dimensions = view.values.shape
    rows = view.values.reshape(grid * grid, dimensions)
    gram = np.empty((dimensions + 1, dimensions + 1))
    gram[:-1, :-1] = rows.T @ rows
    gram[-1, :-1] = gram[:-1, -1] = rows.sum(axis=0, dtype=np.float64)
    gram[-1, -1] = len(rows)
    points = np.array(list(view.points.values())).reshape(-1, 2)
    heat = bumps(points, grid, SIGMA).reshape(len(points), -1)
    sums = np.column_stack([heat.astype(np.float32) @ rows, heat.sum(axis=1)])
    return Moments(gram, dict(zip(view.points, sums.astype(np.float64), strict=True)))
