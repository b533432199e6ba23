"""Values between the cells of a grid. Unit coordinates; cell i of n has its centre at (i + ½)/n."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def centres(cells: int) -> Floats:
    """Return the unit coordinates of the centres of the cells along one side."""
    return (np.arange(cells) + 0.5) / cells


def is_known(points: Floats) -> NDArray[np.bool_]:
    """Return (...,) whether each of (..., 2) points is not NaN."""
    return np.asarray(np.isfinite(points[..., 0]) & np.isfinite(points[..., 1]))


def sample(values: NDArray[np.float32], points: Floats) -> NDArray[np.float32]:
    """Interpolate linearly between the cells; beyond the outer centres, take the nearest value.

    Args:
        values: (grid, grid, D).
        points: (N, 2), x and y.

    Returns:
        (N, D); NaN for a NaN point.
    """
    last = len(values) - 1
    places = np.clip(points * len(values) - 0.5, 0, last)
    known = is_known(places)
    cells = np.minimum(np.nan_to_num(places).astype(int), last - 1)
    x, y = cells.T
    right, down = (places - cells).astype(np.float32).T[..., None]
    above = values[y, x] * (1 - right) + values[y, x + 1] * right
    below = values[y + 1, x] * (1 - right) + values[y + 1, x + 1] * right
    found = above * (1 - down) + below * down
    found[~known] = np.nan
    return np.asarray(found, np.float32)


def bumps(points: Floats, cells: int, sigma: float) -> Floats:
    """Return (N, grid, grid) Gaussians of height 1 around (N, 2) points; zero for a NaN point."""
    across = np.exp(-((centres(cells) - points[:, :1]) ** 2) / (2 * sigma**2))
    down = np.exp(-((centres(cells) - points[:, 1:]) ** 2) / (2 * sigma**2))
    return np.asarray(np.nan_to_num(down[:, :, None] * across[:, None, :]))


def peak(heat: Floats) -> Floats:
    """Return the unit coordinates (2,) of the maximum, on the parabola through its neighbours."""
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    offset = np.array([_vertex(heat[row, :], int(column)), _vertex(heat[:, column], int(row))])
    return np.asarray((np.array([column, row]) + 0.5 + offset) / len(heat))


def _vertex(line: Floats, index: int) -> float:
    """Return how far the top of the parabola lies from `index`, in cells; 0 at the border."""
    if not 0 < index < len(line) - 1:
        return 0.0
    before, here, after = line[index - 1 : index + 2]
    bend = before - 2 * here + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
