"""Images made to do harm, the same bytes at every run, each with what has to come of it."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

READ = "read"  # in place of a reason: the picture is shown, and the rest of the file has no effect
TOO_LARGE = "at most [0-9.]+ megapixels|sides of at most"
NO_IMAGE = r"expected an image \(JPEG, PNG"
DAMAGED = "damaged or cut short"
ANY = f"{TOO_LARGE}|{NO_IMAGE}|{DAMAGED}"
TOO_SLOW = "decoded within"
EITHER = f"{READ}|{ANY}"  # as the libraries were built


@dataclass(frozen=True)
class Hostile:
    """An image file, and a pattern of the reason why it is refused, or READ."""

    name: str
    data: bytes
    outcome: str = ANY


def hostile_images() -> Iterator[Hostile]:
    for make in (_pngs, _gifs, _webps, _tiffs, _jpegs, _others, _polyglots, _foreign):
        yield from make()


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _picture() -> Image.Image:
    noise = np.random.default_rng(12).integers(0, 256, (32, 48, 3), np.uint8)
    return Image.fromarray(noise)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def _zeros(count: int) -> bytes:
    """Pack so many zeros, without having them all in memory."""
    packer = zlib.compressobj(9)
    part = bytes(1 << 20)
    packed = b"".join(packer.compress(part) for _ in range(count >> 20))
    return packed + packer.flush()


def _png(
    width: int, height: int, *more: bytes, idat: bytes | None = None, bits: int = 8, kind: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    if idat is None:
        idat = zlib.compress((b"\0" + bytes(width)) * height)
    parts = [_chunk(b"IHDR", header), *more, _chunk(b"IDAT", idat), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _pngs() -> Iterator[Hostile]:
    bomb = _zeros(1 << 28)
    small = partial(_png, 16, 16)
    text = _chunk(b"tEXt", b"a\0" + bytes(30_000))
    frame = _chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 16, 16, 0, 0, 1, 1, 0, 0))
    yield Hostile("png of 100 megapixels", _png(10_000, 10_000, idat=b"", bits=1), TOO_LARGE)
    yield Hostile("png of 65535 × 65535", _png(65_535, 65_535, idat=b""), TOO_LARGE)
    yield Hostile("png as wide as a number goes", _png(2**31 - 1, 1, idat=b""), TOO_LARGE)
    yield Hostile("png of 1 × 50,000,000", _png(1, 50_000_000, idat=_zeros(1 << 27)), TOO_LARGE)
    yield Hostile("png without width", _png(0, 16, idat=b""))
    yield Hostile("png whose pixels unpack to 256 megabytes", small(idat=bomb), READ)
    yield Hostile("png, text of 256 megabytes", small(_chunk(b"zTXt", b"a\0\0" + bomb)))
    yield Hostile(
        "png, text of 256 megabytes in UTF-8", small(_chunk(b"iTXt", b"a\0\1\0\0\0" + bomb))
    )
    yield Hostile("png, profile of 256 megabytes", small(_chunk(b"iCCP", b"a\0\0" + bomb)))
    yield Hostile("png, 2500 texts", small(*[text] * 2500))
    yield Hostile("png, 20,000 empty chunks", small(*[_chunk(b"abCd", b"")] * 20_000), READ)
    yield Hostile(
        "png, chunk longer than the file", small().replace(b"\0\0\0\x0dIHDR", b"\x7f" * 8)
    )
    yield Hostile("png, wrong checksum", small()[:29] + bytes(4) + small()[33:])
    yield Hostile("png without pixels", _png(16, 16, idat=b""))
    yield Hostile("png, palette of 10,000 colours", small(_chunk(b"PLTE", bytes(30_000)), kind=3))
    yield Hostile("png, four billion frames", small(_chunk(b"acTL", b"\xff" * 8), *[frame] * 1000))


def _gifs() -> Iterator[Hostile]:
    frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    start = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    yield Hostile("gif of 65535 × 65535", b"GIF89a\xff\xff\xff\xff\0\0\0" + frame + b";", TOO_LARGE)
    yield Hostile("gif of 10,000 frames", start + frame * 10_000 + b";", READ)
    outside = frame.replace(b"\x2c\0\0\0\0", b"\x2c\xff\xff\xff\xff", 1)
    yield Hostile("gif, frame outside of its screen", start + outside + b";")
    codes = b"\x2c\0\0\0\0\x01\0\x01\0\0\x0c" + (b"\xff" + b"\xff" * 255) * 100 + b"\0;"
    yield Hostile("gif of codes that do not exist", start + codes)
    comments = b"\x21\xfe" + (b"\xff" + b"x" * 255) * 40_000 + b"\0"
    yield Hostile("gif, comment of ten megabytes", start + comments + frame + b";", READ)


def _webps() -> Iterator[Hostile]:
    frames = [_picture().rotate(turn) for turn in range(0, 360, 2)]
    many = _encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], quality=1)
    plain = _encoded(_picture(), "WEBP")
    lossless = _encoded(_picture(), "WEBP", lossless=True)
    place = lossless.index(b"VP8L") + 9
    huge = lossless[:place] + struct.pack("<I", (16_383 << 14) | 16_383) + lossless[place + 4 :]
    yield Hostile("webp of 180 frames", many, READ)
    yield Hostile("webp of 16384 × 16384", huge)
    yield Hostile("webp cut short", plain[: len(plain) // 2])
    yield Hostile(
        "webp, part longer than the file", plain.replace(b"VP8 ", b"VP8 \xff\xff\xff\x7f")
    )


def _tiff(*entries: tuple[int, int, int, int], after: bytes = b"", following: int = 0) -> bytes:
    """Make a TIFF of one directory; an entry is tag, type, count and value."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    directory = struct.pack("<H", len(entries)) + body + struct.pack("<I", following)
    return b"II*\0\x08\0\0\0" + directory + after


def _tiffs() -> Iterator[Hostile]:
    def tags(
        width: int = 16, height: int = 16, **changes: tuple[int, int, int]
    ) -> dict[int, tuple[int, int, int]]:
        known = {
            256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, 1),
            262: (3, 1, 1), 273: (4, 1, 256), 277: (3, 1, 1), 278: (4, 1, height),
            279: (4, 1, width * height),
        }  # fmt: skip
        return known | {int(tag[1:]): value for tag, value in changes.items()}

    def made(
        known: dict[int, tuple[int, int, int]], pixels: bytes = bytes(512), **more: int
    ) -> bytes:
        tiff = _tiff(*((tag, *value) for tag, value in known.items()), **more)
        return tiff.ljust(256, b"\0") + pixels

    most = 2**32 - 1
    packed = _zeros(1 << 28)
    deflated = {"_259": (3, 1, 8), "_279": (4, 1, len(packed))}
    yield Hostile("tiff of 10,000 pages", _many_pages(10_000), READ)
    yield Hostile("tiff whose pages go round", made(tags(), following=8), READ)
    yield Hostile(
        "tiff as large as numbers go", made(tags(most, most, _279=(4, 1, most))), TOO_LARGE
    )
    yield Hostile("tiff, strip of four bombs", made(tags(_279=(4, 1, most))), READ)
    yield Hostile("tiff, strip past the end", made(tags(_273=(4, 1, most))))
    yield Hostile("tiff, rows that unpack to 256 megabytes", made(tags(**deflated), packed), READ)
    tiles = {
        "_322": (4, 1, 1_000_000),
        "_323": (4, 1, 1_000_000),
        "_324": (4, 1, 256),
        "_325": (4, 1, most),
    }
    yield Hostile("tiff, tile of a million by a million", made(tags(**tiles)), EITHER)
    yield Hostile(
        "tiff, packed tile of a million by a million", made(tags(**tiles, **deflated), packed)
    )
    yield Hostile("tiff, four billion values in a tag", made(tags(_270=(2, most, 0))), READ)
    yield Hostile("tiff, 65535 samples a pixel", made(tags(_277=(3, 1, 65_535))))
    yield Hostile("tiff, 65535 bits a sample", made(tags(_258=(3, 1, 65_535))))
    yield Hostile("tiff, directory past the end", b"II*\0" + struct.pack("<I", most))
    yield Hostile("tiff, 65535 entries", b"II*\0\x08\0\0\0\xff\xff" + bytes(100))


def _many_pages(count: int) -> bytes:
    """Make a TIFF of so many directories, each of them a picture of one pixel."""
    entries = [
        (256, 1),
        (257, 1),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 1),
        (279, 1),
    ]
    body = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries
    )
    step = len(body) + 4
    following = [8 + step * page for page in range(1, count)] + [0]
    return b"II*\0\x08\0\0\0" + b"".join(body + struct.pack("<I", place) for place in following)


def _many_scans(side: int, scans: int) -> bytes:
    """Make a progressive JPEG that goes over all of its pixels again and again."""
    whole = _encoded(Image.new("L", (side, side)), "JPEG", progressive=True)
    first = whole.index(b"\xff\xda")
    tables = whole[:first]
    # A scan of the first coefficients' last bit changes nothing, and one of no bits is short.
    at = [place for place in range(first, len(whole)) if whole[place : place + 2] == b"\xff\xda"]
    return tables + whole[first : at[-1]] + whole[at[-1] : -2] * scans + b"\xff\xd9"


def _jpegs() -> Iterator[Hostile]:
    plain = _encoded(_picture(), "JPEG")
    frame = plain.index(b"\xff\xc0")
    scan = plain.index(b"\xff\xda")

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    def with_frame(**changes: int) -> bytes:
        edited = bytearray(plain)
        for place, value in changes.items():
            edited[frame + int(place[1:])] = value
        return bytes(edited)

    profile = b"".join(segment(0xE2, b"ICC_PROFILE\0\xff\xff" + bytes(65_000)) for _ in range(255))
    going_round = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIII", 0x8769, 4, 1, 8, 8)
    index = b"MPF\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIII", 0xB001, 4, 1, 2**32 - 1, 0)
    yield Hostile("jpeg of many scans", _many_scans(5000, 1500), TOO_SLOW)
    yield Hostile("jpeg of 65535 × 65535", with_frame(_5=255, _6=255, _7=255, _8=255), TOO_LARGE)
    yield Hostile("jpeg of 255 components", with_frame(_9=255))
    yield Hostile("jpeg of 12 bits", with_frame(_4=12))
    yield Hostile("jpeg, arithmetic code", with_frame(_1=0xC9), EITHER)
    yield Hostile("jpeg, sampled 15 to 1", with_frame(_11=0xFF))
    yield Hostile("jpeg, two frames", plain[:frame] + plain[frame:scan] * 2 + plain[scan:])
    yield Hostile(
        "jpeg, table that overflows",
        plain[:scan] + segment(0xC4, b"\0" + b"\xff" * 16 + bytes(4000)) + plain[scan:],
    )
    yield Hostile(
        "jpeg, ten megabytes of fill bytes", plain[:2] + b"\xff" * 10_000_000 + plain[2:], TOO_SLOW
    )
    yield Hostile("jpeg, profile of 16 megabytes", plain[:2] + profile + plain[2:], READ)
    yield Hostile(
        "jpeg, EXIF that goes round", plain[:2] + segment(0xE1, going_round) + plain[2:], READ
    )
    yield Hostile("jpeg, four billion pictures", plain[:2] + segment(0xE2, index) + plain[2:], READ)
    yield Hostile("jpeg cut short", plain[: len(plain) // 2])


def _others() -> Iterator[Hostile]:
    bomb = _png(10_000, 10_000, idat=_zeros(100 << 20), bits=8)
    icon = struct.pack("<HHH", 0, 1, 1)
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(bomb), 22)
    bitmap = _encoded(_picture(), "BMP")
    sized = partial(struct.pack, "<ii")
    avif = _encoded(_picture(), "AVIF")
    place = avif.index(b"ispe") + 8
    yield Hostile(
        "icon, png of 100 megapixels in it", icon + entry + bomb, f"{TOO_LARGE}|{TOO_SLOW}"
    )
    yield Hostile("icon, 65535 pictures", b"\0\0\x01\0\xff\xff" + bytes(16) * 65_535)
    yield Hostile(
        "bmp as large as numbers go",
        bitmap[:18] + sized(2**31 - 1, 2**31 - 1) + bitmap[26:],
        TOO_LARGE,
    )
    yield Hostile(
        "bmp as large, upside down",
        bitmap[:18] + sized(2**31 - 1, -(2**31)) + bitmap[26:],
        TOO_LARGE,
    )
    yield Hostile(
        "bmp of 1 × 50,000,000, packed",
        bitmap[:18] + sized(1, 50_000_000) + bitmap[26:30] + b"\x01" + bitmap[31:],
    )
    yield Hostile(
        "bmp, four billion colours",
        bitmap[:28] + b"\x08" + bitmap[29:46] + b"\xff" * 4 + bitmap[50:],
    )
    yield Hostile(
        "avif as large as numbers go", avif[:place] + b"\x7f\xff\xff\xff" * 2 + avif[place + 8 :]
    )
    yield Hostile("avif cut short", avif[: len(avif) - 50])
    yield Hostile("ppm as large as digits go", b"P6 999999999 999999999 255\n", TOO_LARGE)
    yield Hostile("ppm of 1 × 50,000,000", b"P5 1 50000000 255\n" + bytes(1000), TOO_LARGE)
    yield Hostile("ppm written out in digits", b"P3 4000 4000 255\n" + b"7 " * 20_000_000, TOO_SLOW)
    yield Hostile("ppm, comment without end", b"P6 #" + b"x" * 10_000_000, TOO_SLOW)


def _polyglots() -> Iterator[Hostile]:
    script = b"<script>alert(1)</script><?php system('id'); ?>"
    jpeg, png = _encoded(_picture(), "JPEG"), _encoded(_picture(), "PNG")
    archive = b"PK\x03\x04" + bytes(26) + b"PK\x05\x06" + bytes(18)
    yield Hostile("jpeg that is an archive as well", jpeg + archive, READ)
    yield Hostile("png that is a program of a server as well", png + script, READ)
    yield Hostile("gif that is a script as well", b"GIF89a/*" + script + b"*/=1;")
    yield Hostile("document that holds a jpeg", b"%PDF-1.7\n" + jpeg, NO_IMAGE)
    yield Hostile(
        "film that says that it is an avif", b"\0\0\0\x1cftypavif\0\0\0\0isommp42moov" + bytes(400)
    )


def _foreign() -> Iterator[Hostile]:
    laughs = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 9))
    drawing = b'<?xml version="1.0"?><!DOCTYPE svg [' + laughs + b"]><svg>&a8;</svg>"
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file\n"
    yield Hostile("PostScript that starts a program", program, NO_IMAGE)
    yield Hostile("drawing whose text grows without end", drawing, NO_IMAGE)
    for kind in ("JPEG2000", "PCX", "SGI", "TGA", "DDS"):
        yield Hostile(f"format that is not read: {kind}", _encoded(_picture(), kind), NO_IMAGE)
    for name, start in (
        ("Photoshop", b"8BPS\0\1"),
        ("FLI", b"\0\0\0\0\x11\xaf"),
        ("WMF", b"\xd7\xcd\xc6\x9a"),
    ):
        yield Hostile(f"format that is not read: {name}", start + bytes(400), NO_IMAGE)
