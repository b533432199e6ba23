"""Pairing against an exhaustive search over all pairings."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.matching import match_points

coordinates = st.floats(-5, 5, allow_subnormal=False)
few_points = st.integers(0, 4).flatmap(lambda n: arrays(np.float64, (n, 2), elements=coordinates))


def best_by_search(first, second, radius):
    """Most pairs, then least distance, over every way to order the second set."""
    if len(first) > len(second):
        return best_by_search(second, first, radius)
    distance = np.linalg.norm(first[:, None] - second[None], axis=2)
    best = (0, 0.0)
    for order in permutations(range(len(second)), len(first)):
        pairs = [distance[i, j] for i, j in enumerate(order) if distance[i, j] <= radius]
        best = min(best, (-len(pairs), sum(pairs)))
    return -best[0], best[1]


@given(few_points, few_points, st.floats(0, 8))
def test_pairs_are_the_best_of_all(first, second, radius):
    pairs = match_points(first, second, radius)
    distance = np.linalg.norm(first[pairs[:, 0]] - second[pairs[:, 1]], axis=1)
    assert (distance <= radius).all()
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    count, total = best_by_search(first, second, radius)
    assert len(pairs) == count
    assert distance.sum() == pytest.approx(total, abs=1e-9)


def test_two_near_pairs_are_preferred_to_one_that_is_nearest():
    """0 and 2 could share the point at 1.9; each has one of its own at distance 1.9 or less."""
    first, second = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[1.9, 0.0], [3.8, 0.0]])
    assert match_points(first, second, 1.9).tolist() == [[0, 0], [1, 1]]


def test_nothing_is_paired_with_nothing():
    assert match_points(np.empty((0, 2)), np.ones((3, 2)), 1).shape == (0, 2)


@pytest.mark.parametrize("radius", [-1, np.nan])
def test_a_negative_or_nan_radius_is_refused(radius):
    with pytest.raises(ValueError, match="expected a radius"):
        match_points(np.ones((1, 2)), np.ones((1, 2)), radius)


def test_points_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="expected points"):
        match_points(np.array([[np.nan, 0]]), np.ones((1, 2)), 1)
