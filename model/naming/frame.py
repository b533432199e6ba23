"""The square part of an image that is described, and the way between it and the image's pixels."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.keypoint import Box, centre_to_edge, edge_to_centre

# Added on every side of a box, as a share of its longer side.
MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class Frame:
    """A square of whole pixels, which may reach beyond the image.

    Points in it have unit coordinates: (0, 0) is its top left corner, (1, 1) its bottom right one.

    Attributes:
        left, top: its corner, px; (0, 0) is the image's top left corner.
        side: px.
        length: longer side of the box that it was made for (of the image if there was none), px:
            the unit of the tolerance.
        boxed: whether it was made for a box.
    """

    left: int
    top: int
    side: int
    length: float
    boxed: bool

    def to_unit(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map (..., 2) x and y, px with (0, 0) at the first pixel's centre, to unit coordinates."""
        return np.asarray((centre_to_edge(points) - [self.left, self.top]) / self.side)

    def to_image(self, units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map (..., 2) unit coordinates to x and y in px; inverse of `to_unit`."""
        return edge_to_centre(units * self.side + np.array([self.left, self.top]))


def frame_of(box: Box | None, width: int, height: int) -> Frame:
    """Return the square around a box, with a margin; around the whole image, without one, for None.

    Args:
        box: px; it may reach beyond the image.
        width, height: size of the image, px.

    Raises:
        ValueError: the box is not finite, or has no area.
    """
    boxed = box is not None
    margin = MARGIN if boxed else 0.0
    box = box or Box(0, 0, width, height)
    numbers = np.array([box.left, box.top, box.width, box.height])
    if not np.isfinite(numbers).all() or box.width <= 0 or box.height <= 0:
        raise ValueError(f"expected a box with finite, positive sides, got {box}")
    length = max(box.width, box.height)
    side = max(1, round(length * (1 + 2 * margin)))
    left = round(box.left + (box.width - side) / 2)
    top = round(box.top + (box.height - side) / 2)
    return Frame(left, top, side, float(length), boxed)


def cut(image: NDArray[np.uint8], frame: Frame, size: int) -> NDArray[np.uint8]:
    """Return the frame's part of an image, resized; beyond the image, its border is repeated.

    Args:
        image: (H, W, 3), RGB.
        size: side of the result, px.

    Returns:
        (size, size, 3).

    Raises:
        ValueError: the frame lies outside the image.
    """
    height, width = image.shape[:2]
    right, bottom = frame.left + frame.side, frame.top + frame.side
    if frame.left >= width or frame.top >= height or right <= 0 or bottom <= 0:
        raise ValueError(f"expected a box on the image of {width} × {height} px, got {frame}")
    inside = image[max(0, frame.top) : bottom, max(0, frame.left) : right]
    padded = cv2.copyMakeBorder(
        inside,
        max(0, -frame.top),
        max(0, bottom - height),
        max(0, -frame.left),
        max(0, right - width),
        cv2.BORDER_REPLICATE,
    )
    # INTER_AREA averages, which suits reducing but leaves blocks when enlarging.
    method = cv2.INTER_AREA if frame.side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(padded, (size, size), interpolation=method), np.uint8)
