"""Operations on flat polygons: round, divide, stretch and cut."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Outline = NDArray[np.float64]  # (N, 2): along, up
Spot = tuple[float, float]
Points = Outline | Sequence[Spot]


def rounded(
    corners: Sequence[Spot], radii: Sequence[float], *, closed: bool
) -> tuple[Outline, Outline]:
    """Round the corners of a line or, if `closed`, of a polygon.

    Returns:
        The curve (M, 2), and the point on it that replaces each corner (N, 2).
    """
    points = np.asarray(corners, float)
    before = np.roll(points, 1, 0) - points
    after = np.roll(points, -1, 0) - points
    to_before, to_after = np.hypot(*before.T), np.hypot(*after.T)
    reach = np.minimum(radii, 0.49 * np.minimum(to_before, to_after))
    if not closed:
        reach[[0, -1]] = 0
    start = points + (reach / to_before)[:, None] * before
    end = points + (reach / to_after)[:, None] * after
    arcs = np.einsum("kc,cnd->nkd", _ARC, np.stack([start, points, end]))
    curve = arcs.reshape(-1, 2)
    if not closed:
        curve = curve[len(_ARC) - 1 : len(curve) - len(_ARC) + 1]
    return curve, arcs[:, len(_ARC) // 2]


# Weights of start, corner and end at seven points of a rounded corner (Bézier curve).
_SHARES = np.linspace(0, 1, 7)
_ARC = np.stack([(1 - _SHARES) ** 2, 2 * _SHARES * (1 - _SHARES), _SHARES**2], 1)


def divided(outline: Points, step: float = 0.25) -> Outline:
    """Return the polygon with more vertices, so that it can follow a curved surface."""
    points = np.asarray(outline, float)
    edges = np.concatenate([points[1:], points[:1]]) - points
    counts = np.maximum(1, np.ceil(np.hypot(*edges.T) / step)).astype(int)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    shares = (np.arange(len(starts)) - starts) / np.repeat(counts, counts)
    return np.asarray(np.repeat(points, counts, 0) + shares[:, None] * np.repeat(edges, counts, 0))


def rectangle(left: float, low: float, right: float, high: float) -> list[Spot]:
    """Return the corners of an upright rectangle."""
    return [(left, low), (right, low), (right, high), (left, high)]


def rounded_rectangle(x: float, z: float, half_width: float, half_height: float) -> Outline:
    """Return an upright rectangle with rounded corners around the point (x, z)."""
    corners = rectangle(x - half_width, z - half_height, x + half_width, z + half_height)
    return rounded(corners, [0.6 * min(half_width, half_height)] * 4, closed=True)[0]


def grown(outline: Outline, margin: float) -> Outline:
    """Return the polygon stretched about its middle, so that each side moves out by `margin`."""
    low, high = outline.min(0), outline.max(0)
    middle = (low + high) / 2
    return np.asarray(middle + (outline - middle) * (1 + 2 * margin / (high - low)))


def above_diagonal(outline: Outline) -> Outline:
    """Return the part of a convex pane above a slanted line, where it reflects the sky."""
    low, high = outline.min(0), outline.max(0)
    height = (outline[:, 1] - low[1]) / (high[1] - low[1])
    along = (outline[:, 0] - low[0]) / (high[1] - low[1])
    level = height - 0.62 + 0.16 * (along - 0.5 * along.max())
    kept = []
    for index in range(len(outline)):
        here, there = level[index - 1], level[index]
        start, end = outline[index - 1], outline[index]
        if (here > 0) != (there > 0):
            kept.append(start + (end - start) * here / (here - there))
        if there > 0:
            kept.append(end)
    return np.array(kept)
