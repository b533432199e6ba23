"""Bytes of an image file → upright RGB array; loads neither torch nor OpenCV."""

import io
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from model.image_formats import FORMATS, Extra, extra_of
from model.orientation import upright, upright_by_itself

MAX_PIXELS = 50_000_000
ROWS = 64  # converted at a time
MAX_SIDE = 65_535  # px; JPEG has no longer ones, and browsers draw none


class UnreadableImage(ValueError):
    """The bytes are not a usable image; the message says why."""


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode an image as a browser would show it.

    It is turned as browsers turn it (`model.orientation`), an animation yields its first frame,
    transparent parts become white, and 16-bit greys are scaled to 8 bits.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        UnreadableImage: not an image, in a format that is not read, cut short, or over `max_pixels`
            (checked before decoding).
    """
    if not data:
        raise UnreadableImage("expected an image, got 0 bytes")
    extra = extra_of(data)
    formats = FORMATS if extra is None else (_loaded(extra),)
    try:
        with warnings.catch_warnings():
            # Pillow has a size limit of its own, which only warns; ours is `max_pixels`. It also
            # warns of damaged metadata, which are not used.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=formats) as image:
                _check_size(image.width, image.height, max_pixels)
                image.load()
                # The image inside an icon may have another size than the icon says.
                _check_size(image.width, image.height, max_pixels)
                return _to_rgb(upright(image, data))
    except (UnreadableImage, MemoryError):
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, which it checks first
        raise UnreadableImage(
            f"expected an image of at most {max_pixels / 1e6:g} megapixels, but: {error}"
        ) from None
    except UnidentifiedImageError:
        raise UnreadableImage(
            "expected an image (JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF or PPM), got "
            f"{len(data)} bytes of something else, beginning with {data[:16]!r}"
        ) from None
    except Exception as error:
        # Pillow's readers of damaged files raise nearly every kind of exception.
        reason = str(error) or type(error).__name__
        raise UnreadableImage(f"the image is damaged or cut short: {reason}") from error


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """Convert an image that Pillow has opened, by the rules of `decode`.

    Returns:
        (H, W, 3) uint8, RGB, upright.

    Raises:
        UnreadableImage: it has over `MAX_PIXELS`.
    """
    _check_size(image.width, image.height, MAX_PIXELS)
    return _to_rgb(upright_by_itself(image))


def read(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode an image file; see `decode`.

    Raises:
        FileNotFoundError, OSError: the file does not exist or cannot be read.
        UnreadableImage: it is not a usable image.
    """
    return decode(path.read_bytes(), max_pixels=max_pixels)


def _loaded(extra: Extra) -> str:
    """Load the library that reads a format, and return Pillow's name of the format."""
    try:
        import_module(extra.module)
    except ImportError:
        raise UnreadableImage(
            f"expected an image that browsers show (JPEG, PNG, WebP, ...), got {extra.name}: "
            f"convert it, or install {extra.package} for the backend (requirements-formats.txt)"
        ) from None
    return extra.pillow_name


def _check_size(width: int, height: int, max_pixels: int) -> None:
    pixels = width * height
    if pixels > max_pixels:
        raise UnreadableImage(
            f"expected an image of at most {max_pixels / 1e6:g} megapixels, got "
            f"{width} × {height} = {pixels / 1e6:.1f}: reduce it"
        )
    if max(width, height) > MAX_SIDE:
        raise UnreadableImage(
            f"expected sides of at most {MAX_SIDE} px, got {width} × {height}: cut it into parts"
        )


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Convert any Pillow mode to (H, W, 3) uint8."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _grey_to_rgb(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _grey_to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Scale greys of more than 8 bits to (H, W, 3) uint8, some rows at a time to save memory."""
    greys = np.asarray(image)
    full = 65535.0 if image.mode != "F" else max(float(greys.max()), 1.0)
    pixels = np.empty((*greys.shape, 3), np.uint8)
    for top in range(0, len(greys), ROWS):
        part = greys[top : top + ROWS].astype(np.float64)
        levels = np.clip(np.round(part * (255.0 / full)), 0, 255).astype(np.uint8)
        pixels[top : top + ROWS] = levels[..., None]
    return pixels
