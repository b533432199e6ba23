"""Bytes → upright RGB array → the network's input, and positions back to original pixels."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from model.keypoint import Box, centre_to_edge, edge_to_centre

MAX_PIXELS = 50_000_000


class UnreadableImage(ValueError):
    """The bytes are not a usable image; the message tells the user why."""


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode an image as a browser would show it.

    EXIF orientation is applied, an animation yields its first frame, transparent parts become
    white, and 16-bit greys are scaled to 8 bits.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        UnreadableImage: not an image, cut short, or over `max_pixels` (checked before decoding).
    """
    if not data:
        raise UnreadableImage("expected an image, got 0 bytes")
    try:
        with warnings.catch_warnings():
            # Pillow has a size limit of its own, which only warns; ours is `max_pixels`.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                pixels = image.width * image.height
                if pixels > max_pixels:
                    raise UnreadableImage(
                        f"expected an image of at most {max_pixels / 1e6:g} megapixels, got "
                        f"{image.width} × {image.height} = {pixels / 1e6:.1f}: reduce it"
                    )
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise UnreadableImage(
            f"expected an image (JPEG, PNG, WebP, ...), got {len(data)} bytes of something else, "
            f"beginning with {data[:16]!r}"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, UnreadableImage):
            raise
        raise UnreadableImage(f"the image is damaged or cut short: {error}") from error


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Convert any Pillow mode to (H, W, 3) uint8."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float64)
        full = 65535.0 if image.mode != "F" else max(float(grey.max()), 1.0)
        levels = np.clip(np.round(grey * (255.0 / full)), 0, 255).astype(np.uint8)
        return np.repeat(levels[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def read(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode an image file; see `decode`.

    Raises:
        FileNotFoundError, OSError: the file does not exist or cannot be read.
        UnreadableImage: it is not a usable image.
    """
    return decode(path.read_bytes(), max_pixels=max_pixels)


@dataclass(frozen=True, slots=True)
class View:
    """The mapping between a box of the original image and the square that the network sees.

    Attributes:
        box: the part of the original that the square shows, px; its corners are whole pixels.
        scale_x, scale_y: px of the square per px of the original.
        width, height: of the part of the square that the box fills, px; the rest is padding.
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
        box: of whole pixels, as `clip_box` returns it.
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
    square = np.empty((size, size, 3), np.uint8)
    square[:] = part.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    square[:height, :width] = resized
    return square, View(box, width / box.width, height / box.height, width, height)


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
