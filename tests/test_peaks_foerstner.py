"""The Förstner operator against scikit-image, least squares, and corners at known places."""

import cv2
import numpy as np
import pytest
import skimage.feature
from hypothesis import given
from hypothesis import strategies as st

from model.peaks.foerstner import refine

GREY = np.random.default_rng(0).random((40, 50))


def corner_at(x, y, size=41, turn=0.0):
    """A light quadrant on dark, its tip at (x, y): drawn 16 times larger, then averaged."""
    scale = 16
    fine = (np.arange(size * scale) + 0.5) / scale - 0.5
    right, down = fine[None, :] - x, fine[:, None] - y
    across = np.cos(turn) * right + np.sin(turn) * down
    along = -np.sin(turn) * right + np.cos(turn) * down
    large = ((across > 0) & (along > 0)).astype(np.float64)
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)


def test_agrees_with_scikit_image():
    """On the crossings of a chessboard, where it takes the same model; it gives (row, column).

    On other corners it often takes the model of a dot, whose point is where the normals meet.
    """
    for x, y, turn in [(0.3, -0.2, 0.0), (-0.4, 0.1, 0.3), (0.0, 0.4, 0.8), (0.2, 0.2, 1.2)]:
        tip = (20 + x, 20 + y)
        grey = corner_at(*tip, turn=turn) + corner_at(*tip, turn=turn + np.pi)
        theirs = skimage.feature.corner_subpix(grey, np.array([[20, 20]]), window_size=5, alpha=0.5)
        ours = refine(grey, np.array([[20.0, 20.0]]))
        assert np.hypot(*(theirs[0, ::-1] - tip)) < 0.2, "not the model of a corner"
        np.testing.assert_allclose(ours[0], theirs[0, ::-1], atol=1e-9)


@given(st.integers(2, 47), st.integers(2, 37), st.sampled_from([3, 5, 7]))
def test_agrees_with_least_squares_over_the_lines_of_the_window(x, y, window):
    """g_iᵀ (x̂ - x_i) = 0 for each pixel i, solved by NumPy, pixel by pixel."""
    reach = window // 2
    rows, right_side = [], []
    for row in range(max(0, y - reach), min(40, y + reach + 1)):
        for column in range(max(0, x - reach), min(50, x + reach + 1)):
            gradient = sobel_by_hand(GREY, row, column)
            rows.append(gradient)
            right_side.append(gradient @ [column, row])
    expected = np.linalg.lstsq(np.array(rows), np.array(right_side), rcond=None)[0]
    ours = refine(GREY, np.array([[x, y]], float), window=window, min_roundness=0)[0]
    outside = (np.abs(expected - [x, y]) > window / 2).any()
    np.testing.assert_allclose(ours, [x, y] if outside else expected, atol=1e-9)


def sobel_by_hand(grey, row, column):
    padded = np.pad(grey, 1, mode="edge")[row : row + 3, column : column + 3]
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    return np.array([(padded * kernel).sum(), (padded * kernel.T).sum()])


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0, 2 * np.pi))
def test_the_tip_of_a_corner_is_found_to_a_third_of_a_pixel(x, y, turn):
    """The nearest whole pixel alone would be off by up to 0.71."""
    found = refine(corner_at(20 + x, 20 + y, turn=turn), np.array([[20.0, 20.0]]))
    assert np.hypot(*(found[0] - [20 + x, 20 + y])) < 0.35


def test_a_point_on_a_straight_edge_keeps_its_place():
    grey = np.zeros((21, 21))
    grey[:, 11:] = 1
    assert refine(grey, np.array([[10.0, 10.0]])).tolist() == [[10.0, 10.0]]


def test_a_point_on_a_flat_image_keeps_its_place():
    assert refine(np.ones((9, 9)), np.array([[4.0, 4.0]])).tolist() == [[4.0, 4.0]]


@given(st.integers(0, 49), st.integers(0, 39))
def test_no_point_leaves_its_window_or_the_image(x, y):
    found = refine(GREY, np.array([[x, y]], float))[0]
    assert np.abs(found - [x, y]).max() <= 2.5
    assert (found >= -0.5).all() and (found <= [49.5, 39.5]).all()


def test_brightness_and_contrast_do_not_matter():
    points = np.array([[10.0, 12.0], [30.0, 20.0]])
    np.testing.assert_allclose(refine(3 * GREY + 7, points), refine(GREY, points), atol=1e-9)


def test_no_points_give_no_points():
    assert refine(GREY, np.empty((0, 2))).shape == (0, 2)


@pytest.mark.parametrize(
    ("points", "window", "message"),
    [([[1, 1]], 4, "odd window"), ([[1, 1]], 1, "odd window"), ([[50, 1]], 5, "on the image")],
)
def test_invalid_arguments_are_refused(points, window, message):
    with pytest.raises(ValueError, match=message):
        refine(GREY, np.array(points, float), window=window)
