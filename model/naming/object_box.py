"""The box that stands for one that nobody has drawn: around the points, with a margin."""

from collections.abc import Sequence

import numpy as np

from model.keypoint import Box, centre_to_edge

# Added on every side of the points' extent, as a share of its longer side, for the box that an
# annotator would draw around the object: in the median, boxes of birds are 1.28 times as long.
OBJECT_MARGIN = 0.14


def object_box(points: Sequence[tuple[float, float]]) -> Box | None:
    """Return the box that stands for one that was not given; None for points without extent.

    Args:
        points: x and y, px; (0, 0) is the centre of the image's first pixel.
    """
    places = np.array(points, np.float64).reshape(-1, 2)
    if not len(places):
        return None
    low, high = places.min(axis=0), places.max(axis=0)
    margin = OBJECT_MARGIN * float((high - low).max())
    if margin <= 0:
        return None
    (left, top), (width, height) = centre_to_edge(low) - margin, high - low + 2 * margin
    return Box(float(left), float(top), float(width), float(height))
