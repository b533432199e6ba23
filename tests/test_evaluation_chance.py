"""The share of a box near landmarks: against closed forms and against random points."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.keypoint import Box
from studies.evaluation.chance import chance_precision

HUNDRED = Box(0, 0, 100, 100)


def test_one_disc_inside_is_its_area():
    share = chance_precision(np.array([[50.0, 40.0]]), HUNDRED, 10)
    assert share == pytest.approx(math.pi * 100 / 10_000, rel=1e-12)


def test_a_disc_at_the_corner_of_the_box_counts_a_quarter():
    """(-0.5, -0.5) is the box's corner, as (0, 0) is the centre of the first pixel."""
    share = chance_precision(np.array([[-0.5, -0.5]]), HUNDRED, 10)
    assert share == pytest.approx(math.pi * 25 / 10_000, rel=1e-12)


def test_two_crossing_discs_count_their_lens_once():
    radius, apart = 10.0, 12.0
    lens = 2 * radius**2 * math.acos(apart / (2 * radius)) - apart / 2 * math.sqrt(
        4 * radius**2 - apart**2
    )
    share = chance_precision(np.array([[40.0, 50.0], [40.0, 62.0]]), HUNDRED, radius)
    assert share == pytest.approx((2 * math.pi * 100 - lens) / 10_000, rel=1e-12)


def test_a_landmark_twice_counts_once():
    once = chance_precision(np.array([[30.0, 30.0]]), HUNDRED, 7)
    assert chance_precision(np.array([[30.0, 30.0]] * 3), HUNDRED, 7) == once


def test_no_landmarks_or_no_radius_is_no_chance_and_a_large_radius_is_certain():
    middle = np.array([[50.0, 50.0]])
    assert chance_precision(np.empty((0, 2)), HUNDRED, 10) == 0
    assert chance_precision(middle, HUNDRED, 0) == 0
    assert chance_precision(middle, HUNDRED, 100) == pytest.approx(1, rel=1e-12)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 15), radius=st.floats(1, 60))
def test_it_is_what_random_points_reach(seed, count, radius):
    rng = np.random.default_rng(seed)
    box = Box(5, -3, 80, 50)
    landmarks = rng.uniform([0, -20], [100, 60], (count, 2))
    points = rng.uniform([4.5, -3.5], [84.5, 46.5], (20_000, 2))
    near = (np.linalg.norm(points[:, None] - landmarks, axis=2) <= radius).any(axis=1)
    # Five standard errors: 1 in 1.7 million draws lies farther off.
    assert chance_precision(landmarks, box, radius) == pytest.approx(
        near.mean(), abs=5 * 0.5 / math.sqrt(len(points))
    )


def test_a_malformed_radius_or_box_is_refused():
    for box, radius in ((HUNDRED, -1), (HUNDRED, math.nan), (Box(0, 0, 0, 5), 1)):
        with pytest.raises(ValueError, match="expected a finite radius"):
            chance_precision(np.array([[1.0, 1.0]]), box, radius)
