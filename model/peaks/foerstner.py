"""Sub-pixel position of a corner with the Förstner operator."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Below this roundness (0 for an edge, 1 for a gradient that takes all directions alike) the
# position along the edge is noise.
MIN_ROUNDNESS = 0.1


def refine(
    grey: NDArray[np.float64],
    points: NDArray[np.float64],
    *,
    window: int = 5,
    min_roundness: float = MIN_ROUNDNESS,
) -> NDArray[np.float64]:
    """Move points to where the lines through the pixels of their windows meet best.

    Every pixel i of the window stands for the line through it across its gradient g_i. The point
    nearest to all these lines, weighted by |g_i|², solves A x̂ = b with A = Σ g_i g_iᵀ and
    b = Σ g_i g_iᵀ x_i.

    Args:
        grey: (H, W), any unit.
        points: (N, 2), x and y of whole pixels; (0, 0) is the centre of the first one.
        window: side of the window about a point, px; odd. At the image's border, it is cut.
        min_roundness: 4 det A / (trace A)² below which a point is left alone.

    Returns:
        (N, 2): refined x and y. A point keeps its place where A is badly conditioned, or where
        the solution lies outside the window or the image.

    Raises:
        ValueError: the window is even or below 3, or a point is not on the image.

    Source: Förstner and Gülch, "A fast operator for detection and precise location of distinct
    points, corners and centres of circular features", ISPRS 1987.
    """
    height, width = grey.shape
    if window < 3 or window % 2 == 0:
        raise ValueError(f"expected an odd window of at least 3 px, got {window}")
    columns, rows = np.rint(points).astype(np.int64).reshape(-1, 2).T
    if ((columns < 0) | (columns >= width) | (rows < 0) | (rows >= height)).any():
        raise ValueError(f"expected points on the image of {width} × {height} px")
    a, b = _normal_equations(grey, columns, rows, window)

    trace = a[:, 0, 0] + a[:, 1, 1]
    determinant = np.linalg.det(a)
    round_enough = 4 * determinant > min_roundness * trace**2
    shift = np.zeros((len(columns), 2))
    shift[round_enough] = np.linalg.solve(a[round_enough], b[round_enough, :, None])[..., 0]

    place = np.stack([columns, rows], axis=1).astype(np.float64)
    moved = place + shift
    inside = np.asarray((np.abs(shift) <= window / 2).all(axis=1))
    inside &= ((moved >= -0.5) & (moved <= [width - 0.5, height - 0.5])).all(axis=1)
    return np.where(inside[:, None], moved, place)


def _normal_equations(
    grey: NDArray[np.float64],
    columns: NDArray[np.int64],
    rows: NDArray[np.int64],
    window: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A (N, 2, 2) and b (N, 2) of each point, with its own pixel as the origin."""
    reach = window // 2
    gradient_x = cv2.Sobel(grey, cv2.CV_64F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    gradient_y = cv2.Sobel(grey, cv2.CV_64F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    # Outside the image there is no gradient, so the window is cut there.
    pad = (reach, reach, reach, reach)
    gradient_x = cv2.copyMakeBorder(gradient_x, *pad, cv2.BORDER_CONSTANT, value=0)
    gradient_y = cv2.copyMakeBorder(gradient_y, *pad, cv2.BORDER_CONSTANT, value=0)
    step_y, step_x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    at = (
        rows[:, None, None] + step_y + reach,
        columns[:, None, None] + step_x + reach,
    )
    x, y = gradient_x[at], gradient_y[at]
    xx, xy, yy = x * x, x * y, y * y
    sides = (1, 2)
    a = np.stack([xx.sum(sides), xy.sum(sides), xy.sum(sides), yy.sum(sides)], axis=1)
    b = np.stack(
        [(xx * step_x + xy * step_y).sum(sides), (xy * step_x + yy * step_y).sum(sides)], axis=1
    )
    return a.reshape(-1, 2, 2), b
