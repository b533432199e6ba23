"""How likely a point anywhere in a rectangle lies near a given one."""

import numpy as np

from backend.agreement.columns import Floats


def share_within(x: Floats, y: Floats, radius: Floats, edges: Floats) -> Floats:
    """Return the share of a rectangle that lies within a radius of a point.

    The disc is cut at the edges, so a point in a corner is near a quarter of what one in the middle
    is near.

    Args:
        x, y, radius: (n,).
        edges: (n, 4): left, top, right, bottom, in the same unit.

    Returns:
        (n,), in [0, 1].
    """
    left, top, right, bottom = (edges - np.stack([x, y, x, y], axis=1)).T
    inside = (
        _of_corner(right, bottom, radius)
        - _of_corner(left, bottom, radius)
        - _of_corner(right, top, radius)
        + _of_corner(left, top, radius)
    )
    return np.asarray(np.clip(inside / ((right - left) * (bottom - top)), 0.0, 1.0))


def _of_corner(x: Floats, y: Floats, radius: Floats) -> Floats:
    """Return the area of a disc about the origin inside the rectangle from there to (x, y).

    Negative where x or y is, but not both: sums over the corners of a rectangle then give its part
    of the disc.
    """
    width, height = np.minimum(np.abs(x), radius), np.minimum(np.abs(y), radius)
    # Up to this width the rectangle's edge is lower than the circle.
    flat = np.minimum(width, np.sqrt(radius**2 - height**2))
    area = height * flat + _under_circle(width, radius) - _under_circle(flat, radius)
    return np.asarray(np.sign(x) * np.sign(y) * area)


def _under_circle(x: Floats, radius: Floats) -> Floats:
    """Return the area between the x-axis and the circle from 0 to x <= radius."""
    angle = np.arcsin(np.divide(x, radius, out=np.zeros_like(x), where=radius > 0))
    area = (x * np.sqrt(radius**2 - x**2) + radius**2 * angle) / 2
    return np.asarray(area)
