"""Peaks against scikit-image's and against a plain loop."""

import numpy as np
import pytest
import skimage.morphology
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from model.peaks.nms import local_maxima, ranked_peaks

# Few levels make many plateaus.
maps = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 4)
)


@given(maps)
def test_local_maxima_are_those_of_scikit_image(values):
    """One of ours for each connected maximum of theirs, inside it."""
    theirs = (
        skimage.morphology.local_maxima(values, connectivity=2) if values.size > 1 else values * 0
    )
    regions, count = skimage.measure.label(theirs, connectivity=2, return_num=True)
    ours = local_maxima(values)
    found = regions[ours[:, 0], ours[:, 1]]
    assert sorted(found) == list(range(1, count + 1))


def test_a_plateau_is_one_maximum_at_its_middle():
    values = np.zeros((7, 9))
    values[2:5, 1:8] = 1
    assert local_maxima(values).tolist() == [[3, 4]]


def test_a_flat_map_has_no_peak():
    assert len(ranked_peaks(np.full((5, 5), 0.5), radius=1)) == 0


def test_a_single_pixel_has_no_peak():
    assert len(ranked_peaks(np.ones((1, 1)), radius=1)) == 0


@given(maps, st.floats(0, 6), st.floats(0.2, 3), st.floats(0.2, 3))
def test_kept_peaks_are_far_apart_and_dropped_ones_lie_near_a_higher_one(
    values, radius, pixel_width, pixel_height
):
    kept = ranked_peaks(values, radius=radius, pixel_width=pixel_width, pixel_height=pixel_height)
    heights = values[kept[:, 0], kept[:, 1]]
    assert (np.diff(heights) <= 0).all()
    size = np.array([pixel_height, pixel_width])
    for index, peak in enumerate(kept):
        others = np.delete(kept, index, axis=0)
        assert (np.linalg.norm((others - peak) * size, axis=1) > radius).all()
    for peak in local_maxima(values):
        near = np.linalg.norm((kept - peak) * size, axis=1) <= radius * (1 + 1e-12)
        assert (heights[near] >= values[tuple(peak)]).any()


def test_the_radius_is_measured_in_pixels_of_the_original():
    """Two peaks, 4 columns apart: 8 px in an original twice as wide, 4 px in one twice as high."""
    values = np.zeros((5, 9))
    values[2, 2], values[2, 6] = 2, 1
    assert len(ranked_peaks(values, radius=6, pixel_width=2)) == 2
    assert len(ranked_peaks(values, radius=6, pixel_height=2)) == 1


def test_equal_peaks_come_in_no_order_of_place():
    """The mean place of the first of 100 equal peaks, over seeds, is the middle of the map."""
    values = np.zeros((40, 40))
    values[2::4, 2::4] = 1
    first = np.array([ranked_peaks(values, radius=0, seed=seed)[0] for seed in range(400)])
    assert abs(first.mean(axis=0) - 20).max() < 2  # 4 standard errors of 0.57


def test_the_same_seed_gives_the_same_peaks():
    values = np.round(np.random.default_rng(0).random((30, 30)), 1)
    once, again = (ranked_peaks(values, radius=2, seed=3) for _ in range(2))
    assert np.array_equal(once, again)


@pytest.mark.parametrize(
    ("values", "radius"), [([[np.nan, 1]], 1), ([[0, 1]], -1), ([[0, 1]], np.nan)]
)
def test_invalid_arguments_are_refused(values, radius):
    with pytest.raises(ValueError, match="expected a"):
        ranked_peaks(np.array(values, float), radius=radius)
