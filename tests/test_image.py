"""Every kind of image that a task may have, and coordinates in both directions."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.image import UnreadableImage, clip_box, decode, read, to_square, to_tensor
from model.keypoint import Box


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
def test_the_first_frame_of_an_animation_is_used(kind):
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
def test_unusable_bytes_are_refused_with_the_reason(data, message):
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


def test_a_missing_file_is_a_different_error_than_an_unusable_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(UnreadableImage):
        read(tmp_path / "text.png")


sides = st.integers(8, 400)


@given(sides, sides, st.sampled_from(["squash", "pad"]), st.sampled_from([32, 64, 224]))
def test_corners_of_the_square_are_corners_of_the_box(width, height, resize, size):
    """(-0.5, -0.5) is the corner of the first pixel, on both sides."""
    picture = np.zeros((height + 20, width + 30, 3), np.uint8)
    _, view = to_square(picture, Box(10, 5, width, height), size, resize)
    assert view.to_original(-0.5, -0.5) == pytest.approx((9.5, 4.5))
    bottom_right = view.to_original(view.width - 0.5, view.height - 0.5)
    assert bottom_right == pytest.approx((9.5 + width, 4.5 + height))


@pytest.mark.parametrize("resize", ["squash", "pad"])
@pytest.mark.parametrize(("width", "height"), [(300, 180), (90, 140)])
def test_a_blob_is_found_where_it_was_drawn(resize, width, height):
    """Its centre of mass in the square maps back to where it was in the original."""
    rows, columns = np.mgrid[:height, :width]
    blob = 255 * np.exp(-((columns - 40.25) ** 2 + (rows - 60.75) ** 2) / (2 * 6**2))
    picture = np.repeat(np.round(blob).astype(np.uint8)[..., None], 3, axis=2)
    square, view = to_square(picture, Box(0, 0, width, height), 224, resize)
    mass = square[: view.height, : view.width, 0].astype(float)
    mass[mass < 8] = 0
    x = (mass.sum(axis=0) @ np.arange(view.width)) / mass.sum()
    y = (mass.sum(axis=1) @ np.arange(view.height)) / mass.sum()
    assert view.to_original(x, y) == pytest.approx((40.25, 60.75), abs=0.1)


def test_padding_keeps_the_aspect_and_squashing_fills_the_square():
    picture = np.zeros((100, 200, 3), np.uint8)
    _, padded = to_square(picture, Box(0, 0, 200, 100), 64, "pad")
    _, squashed = to_square(picture, Box(0, 0, 200, 100), 64, "squash")
    assert (padded.width, padded.height, padded.scale_x) == (64, 32, padded.scale_y)
    assert (squashed.width, squashed.height) == (64, 64)


def test_a_box_is_cut_to_the_image_and_widened_to_whole_pixels():
    assert clip_box(Box(-3, 2.5, 10, 3), 6, 20) == Box(0, 2, 6, 4)
    assert clip_box(None, 6, 20) == Box(0, 0, 6, 20)


@pytest.mark.parametrize(
    "box", [Box(0, 0, 0, 5), Box(0, 0, -2, 5), Box(7, 0, 3, 3), Box(float("nan"), 0, 1, 1)]
)
def test_a_box_that_holds_nothing_of_the_image_is_refused(box):
    with pytest.raises(ValueError, match="expected a box"):
        clip_box(box, 6, 6)


def test_colours_are_normalised_each_by_its_own_mean_and_deviation():
    square = np.full((2, 2, 3), [51, 102, 255], np.uint8)
    tensor = to_tensor(square, (0.2, 0.2, 0.5), (0.5, 0.1, 0.25))
    expected = torch.tensor([0.0, 2.0, 2.0])
    torch.testing.assert_close(tensor, expected.view(3, 1, 1).expand(3, 2, 2))
