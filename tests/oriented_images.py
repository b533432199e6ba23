"""Image files with an orientation in any place, and how Chromium shows them."""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 40, 24
COLOURS = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255), "W": (255, 255, 255)}
# The corners (top left, top right, bottom left, bottom right) of a shown image.
SHOWN = {
    1: "40x24 RGBW",
    2: "40x24 GRWB",
    3: "40x24 WBGR",
    4: "40x24 BWRG",
    5: "24x40 RBGW",
    6: "24x40 BRWG",
    7: "24x40 WGBR",
    8: "24x40 GWRB",
}
MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "AVIF": "image/avif"}


@dataclass(frozen=True)
class Case:
    """A file, and the orientation in which Chromium shows it."""

    name: str
    mime: str
    data: bytes
    orientation: int


def corners(pixels: np.ndarray) -> str:
    """Size and corner colours of an image (H, W, 3)."""
    height, width = pixels.shape[:2]
    places = [(y, x) for y in (3, height - 4) for x in (3, width - 4)]
    names = {tuple(value > 127 for value in colour): name for name, colour in COLOURS.items()}
    shown = "".join(names[tuple((pixels[place] > 127).tolist())] for place in places)
    return f"{width}x{height} {shown}"


def drawing() -> Image.Image:
    """A white image with a red, a green and a blue corner."""
    pixels = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    pixels[:8, :8], pixels[:8, -8:], pixels[-8:, :8] = COLOURS["R"], COLOURS["G"], COLOURS["B"]
    return Image.fromarray(pixels)


def tiff(*entries: bytes, order: str = "<", magic: int = 42, announced: int | None = None) -> bytes:
    """A TIFF structure with one directory."""
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", magic, 8)
    count = len(entries) if announced is None else announced
    return start + struct.pack(f"{order}H", count) + b"".join(entries) + bytes(4)


def entry(value: int | bytes, *, kind: int = 3, count: int = 1, order: str = "<") -> bytes:
    """An entry for the orientation; 3 is the type SHORT."""
    content = value if isinstance(value, bytes) else struct.pack(f"{order}H", value)
    return struct.pack(f"{order}HHI", 0x0112, kind, count) + content.ljust(4, b"\0")


ODD = {
    "6, big endian": (tiff(entry(6, order=">"), order=">"), 6),
    "6 and junk in the padding": (tiff(entry(b"\6\0\7\7")), 6),
    "6, then 3": (tiff(entry(6), entry(3)), 6),
    "6 of 9 announced entries": (tiff(entry(6), announced=9), 6),
    "6 as LONG": (tiff(entry(struct.pack("<I", 6), kind=4)), 1),
    "6 as BYTE": (tiff(entry(b"\6", kind=1)), 1),
    "6 as text": (tiff(entry(b"6\0", kind=2, count=2)), 1),
    "6 as two numbers": (tiff(entry(struct.pack("<HH", 6, 3), count=2)), 1),
    "another magic number": (tiff(entry(6), magic=43), 1),
    "cut short": (tiff(entry(6))[:14], 1),
    "no TIFF": (b"junk", 1),
    "nothing": (tiff(), 1),
}


def cases() -> list[Case]:
    """Every format that Chromium shows, with valid, invalid and misplaced orientations."""
    tags = {str(value): (tiff(entry(value)), value) for value in range(1, 9)}
    tags |= {str(value): (tiff(entry(value)), 1) for value in (0, 9, 256, 65535)}
    found = []
    for name, (exif, shown) in (tags | ODD).items():
        found += [
            Case(f"JPEG {name}", MIME["JPEG"], jpeg(app1(b"Exif\0\0" + exif)), shown),
            Case(f"PNG {name}", MIME["PNG"], png(chunk(b"eXIf", exif)), shown),
        ]
    for name, (exif, shown) in tags.items():
        found += [
            Case(f"WebP {name}", MIME["WEBP"], saved("WEBP", exif, lossless=True), 1),
            # Pillow writes into the container how the image is turned.
            Case(f"AVIF {name}", MIME["AVIF"], saved("AVIF", exif, quality=95), shown),
        ]
    return found + misplaced()


def misplaced() -> list[Case]:
    """Orientations in several places of one file, and in places that do not count."""
    six, three = tiff(entry(6)), tiff(entry(3))
    first, second = app1(b"Exif\0\0" + six), app1(b"Exif\0\0" + three)
    profile = b"\nexif\n%8d\n%s\n" % (len(six) + 6, (b"Exif\0\0" + six).hex().encode())
    raw = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    after = PNG_END.join([chunk(b"eXIf", six), b""])
    jpegs = {
        "6, then 3": (jpeg(first, second), 6),
        "nothing, then 6": (jpeg(app1(b"Exif\0\0" + tiff()), first), 1),
        "after tables": (jpeg(first, before=b"\xff\xda"), 6),
        "odd padding": (jpeg(app1(b"Exif\0\1" + six)), 6),
        "in XMP": (jpeg(app1(b"http://ns.adobe.com/xap/1.0/\0" + XMP)), 1),
    }
    pngs = {
        "6, then 3": (png(chunk(b"eXIf", six), chunk(b"eXIf", three)), 6),
        "with a prefix": (png(chunk(b"eXIf", b"Exif\0\0" + six)), 1),
        "after the pixels": (png().replace(PNG_END, after), 1),
        "in a raw profile": (png(raw), 1),
        "in XMP": (png(text), 1),
    }
    return [
        Case(f"{kind} {name}", MIME[kind], data, shown)
        for kind, files in (("JPEG", jpegs), ("PNG", pngs))
        for name, (data, shown) in files.items()
    ]


def saved(kind: str, exif: bytes = b"", **options: object) -> bytes:
    """The drawing as a file."""
    stream = io.BytesIO()
    drawing().save(stream, kind, exif=exif, **options)
    return stream.getvalue()


def app1(content: bytes) -> bytes:
    """A segment of a JPEG file for EXIF or XMP."""
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def jpeg(*segments: bytes, before: bytes = b"") -> bytes:
    """A JPEG file with segments at its beginning, or before another marker."""
    data = saved("JPEG", quality=95)
    place = data.index(before) if before else 2
    return data[:place] + b"".join(segments) + data[place:]


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(*chunks: bytes) -> bytes:
    """A PNG file with chunks before its pixels."""
    data = saved("PNG")
    place = data.index(b"IDAT") - 4
    return data[:place] + b"".join(chunks) + data[place:]


PNG_END = chunk(b"IEND", b"")
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
