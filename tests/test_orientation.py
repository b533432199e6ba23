"""The orientation of image files; a real Chromium is asked in `e2e/test_shown_images.py`."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oriented_images import SHOWN, Case, cases, corners, drawing, entry, saved, tiff
from PIL import Image

from model.decoding import decode
from model.orientation import orientation


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_images_are_turned_as_chromium_turns_them(case: Case):
    assert corners(decode(case.data)) == SHOWN[case.orientation]


@pytest.mark.parametrize("value", range(10))
def test_tiff_which_browsers_do_not_show_is_turned_by_its_tag(value):
    data = saved("TIFF", tiff(entry(value)))
    assert corners(decode(data)) == SHOWN.get(value, SHOWN[1])


@pytest.mark.parametrize("kind", ["GIF", "BMP"])
def test_formats_without_orientation_stay_as_they_are(kind):
    stream = io.BytesIO()
    drawing().save(stream, kind)
    assert corners(decode(stream.getvalue())) == SHOWN[1]


@given(st.binary(max_size=80), st.sampled_from(["JPEG", "PNG", "AVIF"]))
def test_no_bytes_of_a_tag_raise(exif, kind):
    image = Image.new("RGB", (2, 2))
    image.format = kind
    image.info["exif"] = exif
    start = {"JPEG": b"\xff\xd8\xff\xe1\x00\x50Exif\0\0", "PNG": b"\x89PNG\r\n\x1a\n"}.get(
        kind, b""
    )
    assert orientation(image, start + exif) in range(1, 9)
