"""Interpolation, bumps and peaks on a grid."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from model.naming.grid import bumps, peak, sample


@given(st.integers(0, 10_000))
def test_interpolation_equals_scipy(seed):
    random = np.random.RandomState(seed)
    values = random.standard_normal((7, 7, 3)).astype(np.float32)
    points = random.uniform(-0.2, 1.2, (5, 2))
    places = points[:, ::-1].T * 7 - 0.5
    expected = [map_coordinates(values[..., k], places, order=1, mode="nearest") for k in range(3)]
    np.testing.assert_allclose(sample(values, points), np.array(expected).T, atol=1e-5)


def test_no_point_has_no_value_and_no_bump():
    points = np.array([[np.nan, np.nan], [0.5, 0.5]])
    assert np.isnan(sample(np.ones((4, 4, 2), np.float32), points)[0]).all()
    assert bumps(points, 4, 0.1)[0].sum() == 0


@given(st.floats(0.15, 0.85), st.floats(0.15, 0.85))
def test_the_peak_of_a_bump_is_found_between_the_cells(x, y):
    found = peak(bumps(np.array([[x, y]]), 40, 0.04)[0])
    np.testing.assert_allclose(found, [x, y], atol=0.1 / 40)


def test_a_peak_at_the_border_stays_in_its_cell():
    heat = np.zeros((5, 5))
    heat[0, 4] = 1
    np.testing.assert_allclose(peak(heat), [0.9, 0.1])
