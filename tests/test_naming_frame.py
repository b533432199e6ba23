"""The square that is described, and the way back to the image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.keypoint import Box
from model.naming.frame import cut, frame_of

sides = st.floats(1, 500)
places = st.floats(-200, 700)


@given(places, places, sides, sides, places, places)
def test_a_point_comes_back_from_unit_coordinates(left, top, width, height, x, y):
    frame = frame_of(Box(left, top, width, height), 640, 480)
    point = np.array([x, y])
    np.testing.assert_allclose(frame.to_image(frame.to_unit(point)), point, atol=1e-9)


def test_a_box_gets_a_margin_of_a_tenth_on_every_side():
    frame = frame_of(Box(10, 20, 100, 50), 200, 200)
    assert (frame.left, frame.top, frame.side) == (0, -15, 120)
    assert (frame.length, frame.boxed) == (100, True)


def test_the_whole_image_has_no_margin_along_its_longer_side():
    frame = frame_of(None, 300, 200)
    assert (frame.left, frame.top, frame.side, frame.boxed) == (0, -50, 300, False)


def test_the_middle_of_the_first_pixel_is_half_a_pixel_from_the_corner():
    frame = frame_of(None, 10, 10)
    np.testing.assert_allclose(frame.to_unit(np.array([0.0, 0.0])), [0.05, 0.05])


def test_beyond_the_image_its_border_is_repeated():
    image = np.zeros((10, 20, 3), np.uint8)
    image[:, :10] = 200
    square = cut(image, frame_of(None, 20, 10), 20)
    assert (square[:, :10] == 200).all()
    assert (square[:, 10:] == 0).all()


def test_a_pixel_is_where_its_frame_says_after_enlarging():
    image = np.zeros((32, 32, 3), np.uint8)
    image[9, 21] = 255
    frame = frame_of(Box(8, 0, 20, 20), 32, 32)
    square = cut(image, frame, 10 * frame.side)[..., 0].astype(float)
    rows, columns = np.indices(square.shape)
    centre = np.array([(columns * square).sum(), (rows * square).sum()]) / square.sum()
    found = frame.to_image((centre + 0.5) / len(square))
    np.testing.assert_allclose(found, [21, 9], atol=0.05)


@pytest.mark.parametrize("box", [Box(0, 0, 0, 5), Box(float("nan"), 0, 5, 5), Box(0, 0, 5, -1)])
def test_an_empty_box_is_refused(box):
    with pytest.raises(ValueError, match="positive sides"):
        frame_of(box, 10, 10)


def test_a_box_beside_the_image_is_refused():
    with pytest.raises(ValueError, match="expected a box on the image of 10 × 10"):
        cut(np.zeros((10, 10, 3), np.uint8), frame_of(Box(50, 0, 5, 5), 10, 10), 8)
