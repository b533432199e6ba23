"""RGB array → the network's input, and the way back to original pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.keypoint import Box, centre_to_edge, edge_to_centre


@dataclass(frozen=True, slots=True)
class View:
    """The mapping between a box of the original image and the square that the network sees.

    Attributes:
        box: the part of the original that the square shows, px; its corners are whole pixels.
        scale_x, scale_y: px of the square per px of the original.
        width, height: size of the part of the square that the box fills, px; the rest is padding.
    """

    box: Box
    scale_x: float
    scale_y: float
    width: int
    height: int

    def to_original(self, x: float, y: float) -> tuple[float, float]:
        """Map a point of the square to the original; both have (0, 0) at a pixel's centre."""
        return (
            edge_to_centre(self.box.left + centre_to_edge(x) / self.scale_x),
            edge_to_centre(self.box.top + centre_to_edge(y) / self.scale_y),
        )


def clip_box(box: Box | None, width: int, height: int) -> Box:
    """Grow a box to the whole pixels that it touches, and cut it at the image's border.

    Returns:
        A box of whole pixels; the whole image for None.

    Raises:
        ValueError: the box is empty, not finite, or outside the image.
    """
    if box is None:
        return Box(0, 0, width, height)
    corners = np.array([box.left, box.top, box.left + box.width, box.top + box.height])
    if not np.isfinite(corners).all() or box.width <= 0 or box.height <= 0:
        raise ValueError(f"expected a box with finite, positive sides, got {box}")
    left, top = np.maximum(np.floor(corners[:2]), 0)
    right, bottom = np.minimum(np.ceil(corners[2:]), [width, height])
    if right <= left or bottom <= top:
        raise ValueError(f"expected a box on the image of {width} × {height} px, got {box}")
    return Box(float(left), float(top), float(right - left), float(bottom - top))


def crop(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return a view of the part of an image (H, W, 3) under a box of whole pixels."""
    left, top = int(box.left), int(box.top)
    return image[top : top + int(box.height), left : left + int(box.width)]


def to_square(
    image: NDArray[np.uint8], box: Box, size: int, resize: Literal["squash", "pad"]
) -> tuple[NDArray[np.uint8], View]:
    """Resize a box of an image to the network's square.

    Args:
        image: (H, W, 3) uint8, RGB.
        box: a box of whole pixels, from `clip_box`.
        size: side of the square, px.
        resize: "squash" scales both sides to `size`; "pad" keeps the aspect ratio and fills the
            right or the bottom with the mean colour of the box.

    Returns:
        (size, size, 3) uint8, and the mapping back to the original.
    """
    part = crop(image, box)
    if resize == "squash":
        width = height = size
    else:
        longer = max(box.width, box.height)
        width = max(1, round(size * box.width / longer))
        height = max(1, round(size * box.height / longer))
    # INTER_AREA averages, which suits reducing but leaves blocks when enlarging.
    shrinks = width < box.width or height < box.height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(part, (width, height), interpolation=method)
    square = resized if (width, height) == (size, size) else _padded(resized, size, cv2.mean(part))
    return square, View(box, width / box.width, height / box.height, width, height)


def _padded(resized: NDArray[np.uint8], size: int, colour: Sequence[float]) -> NDArray[np.uint8]:
    """Fill what an image (h, w, 3) leaves of a square with a colour, rounded."""
    square = np.empty((size, size, 3), np.uint8)
    square[:] = np.round(colour[:3])
    square[: resized.shape[0], : resized.shape[1]] = resized
    return square


def to_tensor(
    square: NDArray[np.uint8],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> Tensor:
    """Normalise a square (H, W, 3) uint8 to (3, H, W) float32, as in the network's training."""
    pixels = torch.from_numpy(np.ascontiguousarray(square)).permute(2, 0, 1).float().div(255)
    return normalise(pixels, mean, std)


def normalise(
    colours: Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> Tensor:
    """Subtract the mean from colours (..., 3, H, W) in [0, 1] and divide by the deviation."""
    shape = (3, 1, 1)
    return (colours - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
