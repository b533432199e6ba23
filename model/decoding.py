"""Bytes of an image file → upright RGB array; loads neither torch nor OpenCV."""

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 50_000_000


class UnreadableImage(ValueError):
    """The bytes are not a usable image; the message says why."""


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
