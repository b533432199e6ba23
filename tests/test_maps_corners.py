"""How much of a corner a pixel is."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, sobel, uniform_filter

from model.maps.corners import WINDOW, corner_map


@pytest.fixture
def step():
    image = np.zeros((40, 40))
    image[20:, 20:] = 100
    return image


def test_it_is_the_smaller_eigenvalue_of_the_structure_tensor(step):
    smooth = gaussian_filter(step, 2.0, truncate=4, mode="nearest")
    # OpenCV divides its gradients by 2 (1 << (aperture - 1)) · window and takes a plain sum.
    x, y = sobel(smooth, axis=1), sobel(smooth, axis=0)
    a, b, c = (uniform_filter(p, WINDOW) for p in (x * x, x * y, y * y))
    smaller = (a + c) / 2 - np.sqrt(((a - c) / 2) ** 2 + b**2)
    found = corner_map(step, 2.0)
    inner = (slice(8, -8), slice(8, -8))
    relative = found[inner] / found[inner].max()
    np.testing.assert_allclose(relative, smaller[inner] / smaller[inner].max(), atol=2e-2)


def test_it_is_highest_at_the_corner_and_zero_along_edges_and_at_the_border(step):
    found = corner_map(step, 0)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert abs(row - 19.5) <= 2 and abs(column - 19.5) <= 2
    assert found[35, 20] == pytest.approx(0, abs=1e-6 * found.max())
    assert found[39, 39] == 0


def test_an_even_image_has_no_corners():
    assert corner_map(np.full((20, 30), 7.0), 1.0).max() == 0
