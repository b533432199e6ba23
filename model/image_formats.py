"""Formats of image files: which ones are read, and which ones optional libraries read."""

from dataclasses import dataclass

# Pillow's names of the formats that browsers show, and of two that data sets come in. Its others
# stay switched off: they are rarely images of a project, and EPS would start another program.
FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
JPEG_XL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")


@dataclass(frozen=True, slots=True)
class Extra:
    """A format that a library of `requirements-formats.txt` reads.

    Attributes:
        name: for people.
        package: name of the library.
        module: its module, which makes Pillow know the format.
        pillow_name: Pillow's name of the format.
    """

    name: str
    package: str
    module: str
    pillow_name: str


HEIC = Extra("HEIC", "pillow-heif", "pillow_heif.HeifImagePlugin", "HEIF")
JPEG_XL = Extra("JPEG XL", "pillow-jxl-plugin", "pillow_jxl", "JXL")


def extra_of(data: bytes) -> Extra | None:
    """Return the optional library's format that a file has, by its first bytes; else None."""
    if data.startswith(JPEG_XL_STARTS):
        return JPEG_XL
    if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
        # AVIF files may begin like this too, and name their kind among the compatible ones.
        compatible = data[16 : int.from_bytes(data[:4])]
        return None if b"avif" in compatible else HEIC
    return None
