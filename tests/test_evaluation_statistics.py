"""Bootstrap intervals against theory and against scipy."""

import numpy as np
import pytest
import scipy.stats

from studies.evaluation.statistics import difference, interval_of, ratio_of_rates


@pytest.fixture
def values():
    return np.random.default_rng(3).normal(0.5, 0.2, 60)


def test_the_interval_is_scipys(values):
    ours = interval_of(values, seed=1)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=2
    ).confidence_interval
    assert ours.mean == values.mean()
    # Two sets of 10,000 draws agree to a few hundredths of the interval's width.
    assert ours.low == pytest.approx(theirs.low, abs=0.005)
    assert ours.high == pytest.approx(theirs.high, abs=0.005)


def test_the_same_seed_gives_the_same_interval_and_another_one_does_not(values):
    assert interval_of(values, seed=1) == interval_of(values, seed=1)
    assert interval_of(values, seed=1) != interval_of(values, seed=2)


def test_differences_are_taken_image_by_image(values):
    """A constant gain is certain, however much the images differ."""
    gain = difference(values + 0.01, values)
    assert [gain.mean, gain.low, gain.high] == pytest.approx([0.01] * 3)


def test_differences_of_other_images_are_refused(values):
    with pytest.raises(ValueError, match="same images"):
        difference(values, values[1:])


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="at least one image"):
        interval_of(np.empty(0))


def test_a_ratio_of_equal_rates_is_one():
    hits = np.array([1.0, 0, 1, 1, 0, 0, 1])
    ratio = ratio_of_rates(hits, hits)
    assert (ratio.mean, ratio.low, ratio.high) == (1, 1, 1)


def test_a_ratio_to_nothing_is_infinite_or_no_number():
    some, none = np.array([1.0, 0, 1, 0]), np.zeros(4)
    assert ratio_of_rates(some, none).high == np.inf
    assert np.isnan(ratio_of_rates(none, none).mean)
