"""Coordinates of an image and of the network's square, there and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.image import clip_box, to_square, to_tensor
from model.keypoint import Box

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
