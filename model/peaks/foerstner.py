"""Sub-pixel position of a corner with the Förstner operator."""

import cv2
import numpy as np
from numpy.typing import NDArray

from model.keypoint import centre_to_edge

# Below this roundness (0 for a straight edge, 1 for gradients in all directions alike) the position
# along the edge is noise.
MIN_ROUNDNESS = 0.1


def refine(
    grey: NDArray[np.float64],
    points: NDArray[np.float64],
    *,
    window: int = 5,
    min_roundness: float = MIN_ROUNDNESS,
) -> NDArray[np.float64]:
    """Move points to the best intersection of the edges in the windows around them.

    Every pixel i of a window defines a line through x_i, perpendicular to its gradient g_i. The
    point with the smallest sum of squared distances to these lines, weighted by |g_i|², solves
    A x̂ = b with A = Σ g_i g_iᵀ and b = Σ g_i g_iᵀ x_i.

    Args:
        grey: (H, W), any unit.
        points: (N, 2), x and y of whole pixels; (0, 0) is the centre of the first one.
        window: side of the window around a point, px; odd. It is cut at the image's border.
        min_roundness: points with a lower 4 det A / (trace A)² stay where they are.

    Returns:
        (N, 2): refined x and y. A point stays where it is if A is badly conditioned, or if the
        solution lies outside the window or the image.

    Raises:
        ValueError: the window is even or below 3, or a point is not on the image.

    A corner between four pixels, found from the pixel to its lower right:

    >>> grey = np.zeros((20, 20))
    >>> grey[10:, 10:] = 1
    >>> refine(grey, np.array([[10.0, 10.0]])).round(1)
    array([[9.5, 9.5]])

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
    from_edge = centre_to_edge(moved)
    inside &= ((from_edge >= 0) & (from_edge <= [width, height])).all(axis=1)
    return np.where(inside[:, None], moved, place)


def _normal_equations(
    grey: NDArray[np.float64],
    columns: NDArray[np.int64],
    rows: NDArray[np.int64],
    window: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return A (N, 2, 2) and b (N, 2), with each point's own pixel as the origin."""
    reach = window // 2
    gradient_x = cv2.Sobel(grey, cv2.CV_64F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    gradient_y = cv2.Sobel(grey, cv2.CV_64F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    # Zero gradients outside the image add nothing to the sums, which cuts the window there.
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
