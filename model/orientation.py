"""The orientation of an image file, as the browser applies it in which annotators see the image.

Chromium is the reference (`tests/e2e/test_shown_images.py` compares with a real one). It takes the
EXIF tag of JPEG and PNG files alone, from one place and of one type; AVIF files say in their
container how they are turned; the tag of WebP files, and XMP, are ignored.
"""

import struct
import zlib
from collections.abc import Iterator

from PIL import Image, TiffImagePlugin

UPRIGHT = 1
TAG = 0x0112
SHORT = 3  # the type of the tag
TIFF_MAGIC = 42

TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image, data: bytes) -> Image.Image:
    """Turn a decoded image as a browser shows it.

    Args:
        image: opened by Pillow.
        data: bytes of its file.
    """
    method = TRANSPOSITIONS.get(orientation(image, data))
    return image if method is None else image.transpose(method)


def upright_by_itself(image: Image.Image) -> Image.Image:
    """Turn an image whose file is no longer at hand, as `upright` does, but for TIFF files."""
    if image.format not in ("JPEG", "MPO", "PNG", "AVIF"):
        return image
    tag = _of_exif(image.info.get("exif", b"").removeprefix(b"Exif\0\0"))
    method = TRANSPOSITIONS.get(tag)
    return image if method is None else image.transpose(method)


def orientation(image: Image.Image, data: bytes) -> int:
    """Return 1 to 8, as EXIF numbers them; 1 is upright, and stands for everything invalid."""
    if image.format in ("JPEG", "MPO"):
        return _of_exif(_exif_of_jpeg(data))
    if image.format == "PNG":
        return _of_exif(_exif_of_png(data))
    if image.format == "AVIF":  # Pillow puts into the tag how the container turns the image
        return _of_exif(image.info.get("exif", b"").removeprefix(b"Exif\0\0"))
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # browsers show none; viewers obey the tag
        found = image.tag_v2.get(TAG, UPRIGHT)
        return found if found in TRANSPOSITIONS else UPRIGHT
    return UPRIGHT


def _of_exif(exif: bytes) -> int:
    """Read the tag from the first directory of a TIFF structure."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return UPRIGHT
    magic, start = struct.unpack_from(f"{order}HI", exif, 2)
    if magic != TIFF_MAGIC or start + 2 > len(exif):
        return UPRIGHT
    (entries,) = struct.unpack_from(f"{order}H", exif, start)
    for place in range(start + 2, min(start + 2 + 12 * entries, len(exif) - 11), 12):
        tag, kind, count, value = struct.unpack_from(f"{order}HHIH", exif, place)
        if (tag, kind, count) == (TAG, SHORT, 1):
            return value if value in TRANSPOSITIONS else UPRIGHT
    return UPRIGHT


def _exif_of_jpeg(data: bytes) -> bytes:
    """Return the content of the first EXIF segment before the pixels; empty if there is none."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = struct.unpack_from(">BH", data, place + 1)
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        if marker == 0xDA:  # start of the pixels
            break
        content = data[place + 4 : place + 2 + length]
        if marker == 0xE1 and content.startswith(b"Exif\0"):
            return content[6:]  # after a byte of padding
        place += 2 + length
    return b""


def _exif_of_png(data: bytes) -> bytes:
    """Return the content of the first valid eXIf chunk before the pixels; empty without one."""
    for kind, content, checksum in _png_chunks(data):
        if kind == b"IDAT":
            break
        if kind == b"eXIf" and zlib.crc32(kind + content) == checksum:
            return content
    return b""


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield kind, content and checksum of each chunk."""
    place = 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        start, end = place + 8, place + 8 + length
        if end + 4 > len(data):
            return
        yield data[place + 4 : start], data[start:end], int.from_bytes(data[end : end + 4])
        place = end + 4
