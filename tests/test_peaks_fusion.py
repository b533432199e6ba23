"""Fusion against numbers worked out by hand."""

import numpy as np
import pytest

from model.peaks.fusion import fuse


def test_each_map_counts_relative_to_its_maximum():
    """(2/4 + 3/3) → sigmoid(1.5) = 0.8175745; (4/4 + 0) → sigmoid(1) = 0.7310586."""
    fused = fuse(np.array([[2.0, 4.0]]), np.array([[3.0, 0.0]]))
    np.testing.assert_allclose(fused, [[0.8175744761936437, 0.7310585786300049]], rtol=1e-12)


def test_weights_scale_the_maps():
    fused = fuse(np.array([[1.0]]), np.array([[1.0]]), coarse_weight=2, fine_weight=0)
    np.testing.assert_allclose(fused, 1 / (1 + np.exp(-2)))


def test_the_unit_of_a_map_does_not_matter():
    rng = np.random.default_rng(0)
    coarse, fine = rng.random((2, 5, 7))
    np.testing.assert_allclose(fuse(coarse * 1e-12, fine * 1e9), fuse(coarse, fine))


def test_a_map_of_zeros_adds_nothing():
    zeros, fine = np.zeros((2, 2)), np.array([[0.0, 1.0], [0.5, 0.0]])
    np.testing.assert_allclose(fuse(zeros, fine), fuse(fine, zeros))
    assert (fuse(zeros, zeros) == 0.5).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0])
def test_values_that_no_map_can_have_are_refused(wrong):
    with pytest.raises(ValueError, match="expected finite values from 0 up"):
        fuse(np.array([[wrong, 1.0]]), np.ones((1, 2)))
