"""Which images to annotate next."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.naming import acquisition
from model.naming.acquisition import (
    covering_first,
    distances,
    expected_corrections,
    expected_share_right,
    farthest_first,
)

SEEDS = st.integers(0, 10_000)


@dataclass(frozen=True)
class Point:
    visible_probability: float
    score: float


def column(*values):
    return np.array(values, np.float32)[:, None]


def scattered(seed, count):
    return np.random.RandomState(seed).standard_normal((count, 2)).astype(np.float32)


def uncovered(known, pool, chosen):
    """Return the sum of the distances of the pool to the nearest annotated image."""
    annotated = np.concatenate([known, pool[list(chosen)]])
    return float(np.linalg.norm(pool[:, None] - annotated, axis=2).min(axis=1).sum())


def test_corrections_are_expected_where_a_visible_landmark_is_misplaced():
    """0.9 visible and 0.5 right, one sure, one surely hidden: 0.4 corrections, 1.5 of 1.9 right."""
    points = [Point(0.9, 0.5), Point(1.0, 1.0), Point(0.0, 0.0)]
    assert expected_corrections(points) == pytest.approx(0.4)
    assert expected_share_right(points) == pytest.approx(1.5 / 1.9)


def test_an_image_without_visible_landmarks_needs_no_corrections():
    assert expected_corrections([]) == 0
    assert expected_share_right([]) == 1
    assert expected_share_right([Point(0.0, 0.0)]) == 1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1))))
def test_the_expected_share_is_a_share_and_agrees_with_the_corrections(pairs):
    points = [Point(visible, visible * within) for visible, within in pairs]
    right = expected_share_right(points)
    assert 0 <= right <= 1
    visible = sum(point.visible_probability for point in points)
    assert expected_corrections(points) == pytest.approx(visible * (1 - right), abs=1e-9)


@given(SEEDS)
def test_distances_are_those_of_numpy(seed):
    first, second = scattered(seed, 5), scattered(seed + 1, 4)
    wanted = np.linalg.norm(first[:, None] - second, axis=2)
    np.testing.assert_allclose(distances(first, second), wanted, atol=2e-3)


def test_the_farthest_comes_first_and_then_what_is_far_from_both():
    """Known at 0: 10 is farthest; then 4, which is 4 from the nearest, before 9, which is 1."""
    assert farthest_first(column(0), column(1, 9, 10, 4), 4) == [2, 3, 0, 1]


def test_what_stands_for_many_comes_before_an_outlier():
    """Five images around 5 are worth 24 in all, the outlier on the other side is worth 9."""
    pool = column(-9, 4.8, 4.9, 5.0, 5.1, 5.2)
    assert covering_first(column(0), pool, 2) == [3, 0]
    assert farthest_first(column(0), pool, 1) == [0]


def test_a_weight_says_which_images_matter():
    pool = column(-3, 3)
    assert covering_first(column(0), pool, 1) == [0]
    assert covering_first(column(0), pool, 1, np.array([1.0, 2.0])) == [1]


@given(SEEDS, st.integers(1, 4))
def test_greedy_coverage_reaches_the_guaranteed_share_of_the_best(seed, most):
    """1 - 1/e of the greatest gain that any images of that number can have."""
    known, pool = scattered(seed, 2), scattered(seed + 1, 7)
    nothing = uncovered(known, pool, [])
    best = max(
        nothing - uncovered(known, pool, chosen)
        for chosen in itertools.combinations(range(len(pool)), most)
    )
    gain = nothing - uncovered(known, pool, covering_first(known, pool, most))
    assert gain >= (1 - 1 / np.e) * best - 1e-2


@given(SEEDS, st.integers(0, 8), st.integers(1, 12))
@pytest.mark.parametrize("order", [covering_first, farthest_first])
def test_an_order_has_as_many_images_as_asked_and_none_twice(order, seed, count, most):
    found = order(scattered(seed, 2), scattered(seed + 1, count), most)
    assert len(set(found)) == len(found) == min(count, most)
    assert all(0 <= place < count for place in found)


@given(SEEDS, st.integers(1, 5))
@pytest.mark.parametrize("order", [covering_first, farthest_first])
def test_a_shorter_order_is_the_beginning_of_a_longer_one(order, seed, most):
    known, pool = scattered(seed, 2), scattered(seed + 1, 8)
    assert order(known, pool, most) == order(known, pool, 8)[:most]


@pytest.mark.parametrize("order", [covering_first, farthest_first])
def test_equal_images_are_all_placed(order):
    assert order(column(1), column(1, 1, 1), 3) == [0, 1, 2]


def test_of_a_large_pool_some_images_stand_for_all(monkeypatch):
    """Every other image is summed; the crowd is found all the same."""
    monkeypatch.setattr(acquisition, "MOST_COVERED", 3)
    pool = column(-9, 4.8, 4.9, 5.0, 5.1, 5.2)
    assert covering_first(column(0), pool, 1)[0] in range(1, 6)


@pytest.mark.parametrize("order", [covering_first, farthest_first])
def test_an_order_needs_something_known_and_equal_lengths(order):
    with pytest.raises(ValueError, match="one or more annotated"):
        order(np.zeros((0, 2), np.float32), scattered(0, 3), 1)
    with pytest.raises(ValueError, match="of one length, got 1 and 2"):
        order(column(0), scattered(0, 3), 1)
