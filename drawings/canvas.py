"""A canvas with sub-pixel edges: it is drawn at several times its size, then averaged down."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from model.keypoint import edge_to_centre

Colour = tuple[float, float, float]  # RGB, each 0 to 255
Points = NDArray[np.float64] | Sequence[tuple[float, float]]

_FRACTION_BITS = 4  # OpenCV takes coordinates in 1/16 px of the enlarged picture
_FINE_PIXELS = 1600  # an enlarged side of this length is fine enough


class Canvas:
    """An RGB picture to draw shapes on, at positions that need not be whole pixels.

    Coordinates are px of the finished picture; (0, 0) is its top left *corner*.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.enlargement = 4 if max(width, height) < _FINE_PIXELS / 2 else 2
        shape = (height * self.enlargement, width * self.enlargement, 3)
        self.pixels: NDArray[np.uint8] = np.zeros(shape, np.uint8)

    def fill(self, colour: Colour) -> None:
        """Fill the whole picture with one colour."""
        self.pixels[:] = colour

    def gradient(self, top: float, bottom: float, above: Colour, below: Colour) -> None:
        """Fill the rows from `top` to `bottom` (px) with a gradient between two colours."""
        first, last = (self._row(row) for row in (top, bottom))
        if first < last:
            share = np.linspace(0, 1, last - first)[:, None, None]
            rows = ((1 - share) * np.asarray(above) + share * np.asarray(below)).astype(np.uint8)
            size = (self.pixels.shape[1], last - first)
            self.pixels[first:last] = cv2.resize(rows, size, interpolation=cv2.INTER_NEAREST)

    def polygon(self, points: Points, colour: Colour) -> None:
        """Fill a polygon (N, 2), px; it need not be convex."""
        cv2.fillPoly(self.pixels, [self._fixed(points)], colour, cv2.LINE_8, _FRACTION_BITS)

    def convex_polygons(self, polygons: NDArray[np.float64], colours: NDArray[np.float64]) -> None:
        """Fill convex polygons (M, N, 2), px, in their order, with colours (M, 3)."""
        for points, colour in zip(self._fixed(polygons), colours.tolist(), strict=True):
            cv2.fillConvexPoly(self.pixels, points, colour, cv2.LINE_8, _FRACTION_BITS)

    def line(self, points: Points, colour: Colour, thickness: float) -> None:
        """Draw an open line through points (N, 2), px, of this thickness, px."""
        fine = max(1, round(thickness * self.enlargement))
        cv2.polylines(
            self.pixels, [self._fixed(points)], False, colour, fine, cv2.LINE_AA, _FRACTION_BITS
        )

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        self.polygon(np.array([x, y]) + radius * _UNIT_CIRCLE, colour)

    def rectangle(
        self, left: float, top: float, right: float, bottom: float, colour: Colour
    ) -> None:
        """Fill an upright rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def soft_shade(self, points: Points, brightness: float, softness: float) -> None:
        """Multiply a polygon's pixels by `brightness`, with a border blurred by `softness` px."""
        mask = np.zeros((self.height, self.width), np.float32)
        cv2.fillPoly(
            mask, [_fixed_point(np.asarray(points, np.float64))], 1.0, cv2.LINE_AA, _FRACTION_BITS
        )
        mask = cv2.GaussianBlur(mask, (0, 0), max(0.3, softness))
        rows = np.flatnonzero(mask.max(1) > 0.004)
        if len(rows):
            part = slice(rows[0] * self.enlargement, (rows[-1] + 1) * self.enlargement)
            size = (self.pixels.shape[1], part.stop - part.start)
            factor = 1 - (1 - brightness) * cv2.resize(mask[rows[0] : rows[-1] + 1], size)
            self.pixels[part] = (self.pixels[part] * factor[..., None]).astype(np.uint8)

    def finish(self) -> NDArray[np.uint8]:
        """Return the picture at its own size, (height, width, 3)."""
        size = (self.width, self.height)
        return np.asarray(cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA))

    def _row(self, y: float) -> int:
        return int(np.clip(round(y * self.enlargement), 0, self.pixels.shape[0]))

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        """Convert px of the finished picture to fixed-point px of the enlarged one."""
        return _fixed_point(np.asarray(points, np.float64) * self.enlargement)


def _fixed_point(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Convert px with (0, 0) at the corner to OpenCV's, with (0, 0) at the first pixel's centre."""
    return np.asarray(np.round(edge_to_centre(points) * 2**_FRACTION_BITS), np.int32)


_ANGLES = np.linspace(0, 2 * np.pi, 48, endpoint=False)
_UNIT_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)
