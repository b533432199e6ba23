"""Every kind of image file that a task may hold."""

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.decoding import UnreadableImage, decode, pixels_of, read


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def solid(mode, colour, size=(6, 4)):
    return Image.new(mode, size, colour)


def test_colours_come_out_as_rgb():
    assert (decode(encoded(solid("RGB", (10, 20, 30)))) == [10, 20, 30]).all()


def test_rows_and_columns_are_not_mixed_up():
    assert decode(encoded(solid("RGB", 0))).shape == (4, 6, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    """A red dot that belongs at the top left after turning, wherever the file stores it."""
    upright = np.zeros((8, 16, 3), np.uint8)
    upright[:4, :4, 0] = 255
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    assert np.array_equal(decode(data), upright)


def test_grey_becomes_three_equal_colours():
    assert (decode(encoded(solid("L", 77))) == 77).all()


def test_sixteen_bit_grey_is_scaled_and_not_cut():
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert decode(encoded(Image.fromarray(values)))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_cmyk_is_converted():
    """A full sheet of yellow ink: red and green, but hardly blue."""
    pixel = decode(encoded(solid("CMYK", (0, 0, 255, 0)), "JPEG", quality=100))[0, 0]
    assert pixel[0] > 200 and pixel[1] > 200 and pixel[2] < 60


def test_transparent_parts_are_white():
    assert (decode(encoded(solid("RGBA", (10, 20, 30, 0)))) == 255).all()
    assert (decode(encoded(solid("RGBA", (10, 20, 30, 255)))) == [10, 20, 30]).all()


def test_a_palette_with_a_transparent_colour_is_laid_on_white():
    image = solid("P", 0)
    image.putpalette([9, 9, 9] + [0] * 765)
    assert (decode(encoded(image, "PNG", transparency=0)) == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_counts(kind):
    frames = [solid("RGB", (255, 0, 0)), solid("RGB", (0, 255, 0))]
    options = {"save_all": True, "append_images": frames[1:], "duration": 100}
    data = encoded(frames[0], kind, **options | ({"lossless": True} if kind == "WEBP" else {}))
    assert (decode(data) == [255, 0, 0]).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "got 0 bytes"),
        (b"<html>sign in</html>", "something else, beginning with b'<html>sign in</h'"),
        (encoded(Image.effect_noise((64, 64), 50))[:900], "damaged or cut short"),
        (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:900], "damaged or cut short"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "expected an image|damaged"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(data, message):
    with pytest.raises(UnreadableImage, match=message):
        decode(data)


def test_a_hundred_megapixels_are_refused_before_they_are_decoded(monkeypatch):
    data = encoded(Image.new("1", (10_000, 10_000)))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UnreadableImage, match=r"at most 50 megapixels, got 10000 × 10000 = 100\.0"):
        decode(data)


def test_the_limit_of_pixels_can_be_set():
    data = encoded(solid("RGB", 0, (100, 100)))
    assert decode(data, max_pixels=10_000).shape == (100, 100, 3)
    with pytest.raises(UnreadableImage, match="reduce it"):
        decode(data, max_pixels=9_999)


def test_a_file_that_is_not_there_differs_from_one_that_is_no_image(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(UnreadableImage):
        read(tmp_path / "text.png")


def test_decoding_loads_neither_torch_nor_opencv():
    """The web process decodes images for the report."""
    code = (
        "import sys, model.decoding; "
        "print([name for name in ('torch', 'cv2') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "[]\n", ended.stderr


@pytest.mark.parametrize("kind", ["EPS", "JPEG2000", "TGA", "DDS", "PCX", "SGI"])
def test_formats_that_nobody_needs_are_switched_off(kind):
    with pytest.raises(UnreadableImage, match=r"expected an image \(JPEG, PNG"):
        decode(encoded(solid("RGB", (10, 20, 30)), kind))


@pytest.mark.parametrize(
    "kind", ["AVIF", "BMP", "GIF", "ICO", "JPEG", "PNG", "PPM", "TIFF", "WEBP"]
)
def test_formats_that_browsers_show_or_data_sets_have_are_read(kind):
    pixels = decode(encoded(solid("RGB", (255, 255, 255), (16, 16)), kind))
    assert pixels.shape == (16, 16, 3) and (pixels > 250).all()


def test_heic_and_jpeg_xl_are_read_with_their_libraries():
    import pillow_heif
    import pillow_jxl  # noqa: F401

    pillow_heif.register_heif_opener()
    for kind in ("HEIF", "JXL"):
        data = encoded(solid("RGB", (200, 100, 50), (64, 48)), kind)
        pixels = decode(data)
        assert pixels.shape == (48, 64, 3)
        assert np.abs(pixels.astype(int) - (200, 100, 50)).max() < 8


@pytest.mark.parametrize(
    ("data", "name", "package"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50), "HEIC", "pillow-heif"),
        (b"\xff\x0a" + bytes(50), "JPEG XL", "pillow-jxl-plugin"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "JPEG XL", "pillow-jxl-plugin"),
    ],
)
def test_without_their_libraries_the_error_names_them(data, name, package, monkeypatch):
    for module in ("pillow_heif.HeifImagePlugin", "pillow_heif", "pillow_jxl"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnreadableImage, match=f"got {name}: convert it, or install {package}"):
        decode(data)


def test_avif_that_begins_like_heic_is_avif():
    data = encoded(solid("RGB", (200, 100, 50), (16, 16)), "AVIF")
    assert b"avif" in data[8:32]
    assert decode(data.replace(b"ftypavif", b"ftypmif1", 1)).shape == (16, 16, 3)


def test_an_image_longer_than_browsers_draw_is_refused():
    with pytest.raises(UnreadableImage, match=r"sides of at most 65535 px, got 70000 × 1"):
        decode(encoded(Image.new("1", (70_000, 1))))


VALID = [
    encoded(Image.effect_noise((24, 16), 60).convert("RGB"), kind)
    for kind in ("AVIF", "BMP", "GIF", "ICO", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
]


@settings(max_examples=300)
@given(st.data())
def test_damage_of_any_kind_is_said_and_never_unexpected(draw):
    damaged = bytearray(draw.draw(st.sampled_from(VALID)))
    places = st.integers(0, len(damaged) - 1)
    for place in draw.draw(st.lists(places, max_size=8)):
        damaged[place] = draw.draw(st.integers(0, 255))
    cut = draw.draw(places)
    for data in (bytes(damaged), bytes(damaged[:cut])):
        try:
            pixels = decode(data, max_pixels=1_000_000)
        except UnreadableImage:
            continue
        assert pixels.dtype == np.uint8 and pixels.ndim == 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_an_image_that_pillow_has_opened_becomes_the_pixels_of_its_file(
    kind: str, orientation: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(buffer, kind, exif=exif)
    opened = Image.open(io.BytesIO(buffer.getvalue()))
    opened.load()
    np.testing.assert_array_equal(pixels_of(opened), decode(buffer.getvalue()))


def test_an_opened_image_of_too_many_pixels_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="megapixels"):
        pixels_of(Image.new("1", (10_000, 5_001)))
