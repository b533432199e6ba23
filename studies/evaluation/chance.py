"""Precision of random points: the exact share of a box that lies near a landmark."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from model.keypoint import Box, edge_to_centre


def chance_precision(landmarks: NDArray[np.float64], box: Box, radius: float) -> float:
    """Return the share of a box's area that lies within a radius of a landmark.

    This is the expected precision of points spread evenly over the box. The union of the discs is
    cut into horizontal strips at every height where an arc begins, ends, or crosses another arc or
    a side of the box. Within a strip the same arcs bound the union, so its area is a sum of
    integrals in closed form, exact up to rounding.

    Args:
        landmarks: (N, 2), x and y, px; (0, 0) is the centre of the first pixel.
        box: where the points may lie.
        radius: radius around each landmark, px.

    Raises:
        ValueError: the radius is negative or not finite, or the box has no area.
    """
    if not (math.isfinite(radius) and radius >= 0) or box.width <= 0 or box.height <= 0:
        raise ValueError(f"expected a finite radius of at least 0 and a box, got {radius}, {box}")
    left, top = edge_to_centre(box.left), edge_to_centre(box.top)
    right, bottom = left + box.width, top + box.height
    discs = np.unique(np.reshape(landmarks, (-1, 2)), axis=0)
    heights = np.unique(np.clip(_heights(discs, radius, (left, right)), top, bottom))
    area = sum(
        _strip_area(discs, radius, (left, right), (float(low), float(high)))
        for low, high in itertools.pairwise([top, *heights, bottom])
        if high > low
    )
    return float(area / (box.width * box.height))


def _heights(
    discs: NDArray[np.float64], radius: float, sides: tuple[float, float]
) -> NDArray[np.float64]:
    """Return every y at which the arcs that bound the union may change."""
    heights = [discs[:, 1] - radius, discs[:, 1] + radius]
    for side in sides:
        reach = radius**2 - (discs[:, 0] - side) ** 2
        half = np.sqrt(reach[reach > 0])
        crossing = discs[reach > 0, 1]
        heights += [crossing - half, crossing + half]
    for first, second in itertools.combinations(discs, 2):
        apart = second - first
        distance = float(np.hypot(*apart))
        if distance < 2 * radius:
            middle = (first[1] + second[1]) / 2
            offset = math.sqrt(radius**2 - (distance / 2) ** 2) * apart[0] / distance
            heights.append(np.array([middle - offset, middle + offset]))
    return np.concatenate(heights)


def _strip_area(
    discs: NDArray[np.float64],
    radius: float,
    sides: tuple[float, float],
    strip: tuple[float, float],
) -> float:
    """Return the area of the union in a strip between two sides, in which no two arcs cross."""
    low, high = strip
    middle = (low + high) / 2
    near = discs[np.abs(discs[:, 1] - middle) < radius]
    half = np.sqrt(radius**2 - (near[:, 1] - middle) ** 2)
    # For each arc: x at the middle of the strip, and the integral of x over the strip.
    bulge = _under_arc(high - near[:, 1], radius) - _under_arc(low - near[:, 1], radius)
    straight = near[:, 0] * (high - low)
    spans = sorted(
        zip(
            (near[:, 0] - half).tolist(),
            (near[:, 0] + half).tolist(),
            (straight - bulge).tolist(),
            (straight + bulge).tolist(),
            strict=True,
        )
    )
    side_spans = [(side, side * (high - low)) for side in sides]
    area, (covered_to, covered_integral) = 0.0, side_spans[0]
    for start, end, start_integral, end_integral in spans:
        start, start_integral = max((start, start_integral), (covered_to, covered_integral))
        end, end_integral = min((end, end_integral), side_spans[1])
        if end > start:
            area += end_integral - start_integral
            covered_to, covered_integral = end, end_integral
    return area


def _under_arc(height: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Return the integral of √(radius² - y²) from 0 to `height`."""
    y = np.clip(height, -radius, radius)
    return np.asarray((y * np.sqrt(radius**2 - y**2) + radius**2 * np.arcsin(y / radius)) / 2)
