"""Which examples are kept where there are too many."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naming_scene import example

from model.naming.diversity import diverse_subset, summary


def radius(points, chosen):
    """Return the distance of the worst covered point from the nearest chosen one."""
    apart = np.linalg.norm(points[:, None] - points[list(chosen)], axis=2)
    return apart.min(axis=1).max()


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_no_subset_covers_more_than_twice_as_well(seed, most):
    points = np.random.RandomState(seed).standard_normal((8, 2)).astype(np.float32)
    best = min(radius(points, chosen) for chosen in itertools.combinations(range(8), most))
    assert radius(points, diverse_subset(points, most)) <= 2 * best + 1e-5


@given(st.integers(0, 12), st.integers(1, 12))
def test_as_many_as_asked_are_kept_and_none_twice_even_if_all_are_equal(count, most):
    kept = diverse_subset(np.ones((count, 3), np.float32), most)
    assert len(set(kept)) == len(kept) == min(count, most)
    assert kept == sorted(kept)


def test_the_newest_is_always_kept():
    points = np.random.RandomState(0).standard_normal((20, 3)).astype(np.float32)
    assert 19 in diverse_subset(points, 3)


def test_similar_images_have_similar_summaries():
    alike = summary(example(0).features) @ summary(example(2).features)
    other = summary(example(0).features) @ summary(example(1, mirrored=True).features)
    assert alike > other
    assert np.linalg.norm(summary(example(0).features)) == pytest.approx(1, abs=1e-5)


def test_keeping_none_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        diverse_subset(np.ones((3, 2), np.float32), 0)
