"""The surface of a vehicle's body in space; coordinates as in `drawings.camera`."""

import numpy as np
from numpy.typing import NDArray

from drawings.outlines import Points
from drawings.shapes import Shape

Array = NDArray[np.float64]


class Surface:
    """Maps points of the side, front and rear view to the body's surface."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        along, up = shape.contour.T
        first = len(along) - 1 - int(np.argmin(along[::-1]))
        last = int(np.argmax(along))
        self._top = np.maximum.accumulate(along[first : last + 1]), up[first : last + 1]
        ends = np.r_[first:-1:-1, len(along) - 1 : last - 1 : -1]
        self._bottom = np.maximum.accumulate(along[ends]), up[ends]
        peak_first, peak_last = int(np.argmax(up)), len(up) - 1 - int(np.argmax(up[::-1]))
        self._front = np.maximum.accumulate(up[peak_last:][::-1]), along[peak_last:][::-1]
        self._rear = np.maximum.accumulate(up[: peak_first + 1]), along[: peak_first + 1]

    def top(self, x: Array) -> Array:
        """Return the height of the body's upper edge at `x`."""
        return np.asarray(np.interp(x, *self._top))

    def half_width(self, x: Array, z: Array) -> Array:
        """Return the distance of the side from the middle plane."""
        heights, shares = np.transpose(self.shape.section)
        ends = np.minimum(x, self.shape.length - x) / (0.14 * self.shape.length)
        plan = 1 - self.shape.nose * np.clip(1 - ends, 0, 1) ** 2
        return np.asarray(self.shape.width / 2 * plan * np.interp(z, heights, shares))

    def side(self, points: Points, lift: float = 0.0) -> Array:
        """Map (x, z), (N, 2), to points on the near side, or `lift` m outside it."""
        x, z = np.asarray(points, float).T
        return np.stack([x, self.half_width(x, z) + lift, z], 1)

    def front(self, points: Points) -> Array:
        """Map (share of the half width, z), (N, 2), to points that face forwards."""
        return self._end(points, *self._front)

    def rear(self, points: Points) -> Array:
        """Map (share of the half width, z), (N, 2), to points that face backwards."""
        return self._end(points, *self._rear)

    def _end(self, points: Points, heights: Array, along: Array) -> Array:
        share, z = np.asarray(points, float).T
        x = np.interp(z, heights, along)
        return np.stack([x, share * self.half_width(x, z), z], 1)

    def mesh(self) -> tuple[Array, Array]:
        """Divide the near side and the top into quadrilaterals.

        Returns:
            Quadrilaterals (M, 4, 3); distance of each from the middle plane (M,), as a share of the
            half width: 1 on the side, -1 to 1 on the top.
        """
        side = self._side_mesh()
        top, shares = self._top_mesh()
        return np.concatenate([side, top]), np.concatenate([np.ones(len(side)), shares])

    def _side_mesh(self) -> Array:
        shape = self.shape
        x = np.unique(np.concatenate([shape.contour[:, 0], np.linspace(0, shape.length, 24)]))
        levels = np.array([0.0, 0.08, 0.2, 0.35, 0.5, 0.75, 1.0])
        low = shape.sill + levels * (shape.belt - shape.sill)
        high = shape.belt + levels[2:] * (shape.height - shape.belt)
        z = np.clip(np.concatenate([low, high])[:, None], np.interp(x, *self._bottom), self.top(x))
        grid = np.stack([np.broadcast_to(x, z.shape), self.half_width(x[None], z), z], -1)
        quads = _quadrilaterals(grid)
        return quads[quads[:, 2, 2] + quads[:, 3, 2] - quads[:, 0, 2] - quads[:, 1, 2] > 1e-6]

    def _top_mesh(self) -> tuple[Array, Array]:
        x, z = self.shape.contour.T
        shares = np.array([1, 0.9, 0.5, 0, -0.5, -0.9, -1])
        width = shares[:, None] * self.half_width(x, z)
        grid = np.stack(
            [np.broadcast_to(x, width.shape), width, np.broadcast_to(z, width.shape)], -1
        )
        middles = np.repeat((shares[1:] + shares[:-1]) / 2, len(x) - 1)
        return _quadrilaterals(grid), middles


def _quadrilaterals(grid: Array) -> Array:
    """Return the cells ((R - 1)(C - 1), 4, 3) of a grid of points (R, C, 3)."""
    cells = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], 2)
    return cells.reshape(-1, 4, 3)


def unit_normal(points: Array) -> Array:
    """Return the unit normal of a nearly flat polygon (N, 3), by Newell's method."""
    x, y, z = (points - points[0]).T
    next_x, next_y, next_z = (np.append(axis[1:], axis[0]) for axis in (x, y, z))
    normal = np.array([y @ next_z - z @ next_y, z @ next_x - x @ next_z, x @ next_y - y @ next_x])
    return np.asarray(normal / max(float(np.sqrt(normal @ normal)), 1e-12))
