"""Estimates with the image as cluster, against SciPy, brute force and cases worked by hand."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from backend.agreement import clustered
from backend.agreement.limits import LIMITS, Limits
from backend.agreement.linearised import linearise

UNLIMITED = Limits(fewest_images_extreme=0)


@st.composite
def counts(draw, fewest=2):
    """Successes and trials of a few images, of which some may have none."""
    trials = draw(st.lists(st.integers(0, 20), min_size=fewest, max_size=30))
    return [draw(st.integers(0, n)) for n in trials], trials


def clustered_counts(images, points=12, seed=0):
    """Beta-binomial successes of images, ICC 0.2, mean 0.6."""
    random = np.random.default_rng(seed)
    return random.binomial(points, random.beta(2.4, 1.6, images)), np.full(images, points)


def test_wilson_is_the_interval_of_scipy():
    for k, n in [(0, 1), (1, 1), (3, 7), (50, 60), (299, 300)]:
        expected = stats.binomtest(k, n).proportion_ci(0.95, "wilson")
        assert clustered.wilson(k / n, n, LIMITS.z) == pytest.approx(tuple(expected), abs=1e-12)


def test_the_value_lies_in_its_interval_and_the_ends_are_exact_for_all_counts_up_to_300():
    for n in range(1, 301):
        for k in range(n + 1):
            low, high = clustered.wilson(k / n, n, LIMITS.z)
            assert 0 <= low <= k / n <= high <= 1
            assert (low == 0) == (k == 0)
            assert (high == 1) == (k == n)


@given(counts())
def test_a_share_lies_in_its_interval_whose_ends_are_0_and_1_at_the_border(drawn):
    won, tried = drawn
    found = clustered.share(won, tried, UNLIMITED)
    if sum(n > 0 for n in tried) < 2:
        assert found.low is None and found.high is None and found.reason
        return
    assert found.value == sum(won) / sum(tried)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert (found.low == 0) == (sum(won) == 0)
    assert (found.high == 1) == (sum(won) == sum(tried))


def test_shares_of_alike_images_of_one_size_rest_on_all_points():
    found = clustered.share([6] * 25, [10] * 25)
    expected = stats.binomtest(150, 250).proportion_ci(0.95, "wilson")
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-12)
    assert found.deff == 0


def test_a_share_worked_by_hand():
    # p = 6/12; each image is 1 point from p·n. Leaving it out moves p by 1/10 or by 1/8, so
    # v = 3/4 · (2/100 + 2/64) = 0.0384375. The kurtosis is below 3: t has 3 degrees of freedom.
    found = clustered.share([0, 1, 2, 3], [2, 4, 2, 4])
    n = 0.25 / 0.0384375 * (1.959964 / 3.182446) ** 2
    assert (found.low, found.high) == pytest.approx(clustered.wilson(0.5, n, 1.959964), abs=1e-6)
    assert found.deff == pytest.approx(0.0384375 * 12 / 0.25)
    assert (found.value, found.n, found.images, found.reason) == (0.5, 12, 4, None)


@given(counts())
def test_the_variance_is_the_jackknife_of_leaving_out_each_image(drawn):
    won, tried = (np.array(part, float)[np.array(drawn[1]) > 0] for part in drawn)
    if len(tried) < 2:
        return
    without = [
        np.delete(won, i).sum() / np.delete(tried, i).sum() - won.sum() / tried.sum()
        for i in range(len(tried))
    ]
    expected = (len(tried) - 1) / len(tried) * np.square(without).sum()
    assert linearise(won, tried).variance == pytest.approx(expected, abs=1e-15)


def test_the_variance_of_images_of_one_size_is_the_linearised_one():
    won, tried = clustered_counts(30)
    p, m = won.sum() / tried.sum(), 30
    expected = m / (m - 1) * ((won - p * tried) ** 2).sum() / tried.sum() ** 2
    assert linearise(won, tried).variance == pytest.approx(expected, rel=1e-12)


def test_degrees_of_freedom_fall_where_one_image_carries_the_spread():
    assert linearise([0, 1, 1, 0, 1, 0], np.ones(6)).df == 5
    one = linearise([5, 0, 0, 0, 0], np.ones(5))  # influences 4 -1 -1 -1 -1: kurtosis 3.25
    assert one.df == pytest.approx(2 * 5 / (3.25 - 1) - 1)


def test_points_that_resemble_each_other_widen_the_interval():
    won, tried = clustered_counts(40)
    found = clustered.share(won, tried)
    plain = stats.binomtest(int(won.sum()), int(tried.sum())).proportion_ci(0.95, "wilson")
    assert found.high - found.low > 1.3 * (plain.high - plain.low)
    assert found.deff == pytest.approx(1 + 11 * found.icc, rel=0.05)


def test_the_correlation_is_that_of_an_analysis_of_variance():
    won, tried = clustered_counts(25)
    images = [np.repeat([1.0, 0.0], [k, n - k]) for k, n in zip(won, tried, strict=True)]
    f = stats.f_oneway(*images).statistic
    assert clustered.share(won, tried).icc == pytest.approx((f - 1) / (f + 11))


@pytest.mark.parametrize(
    ("won", "tried", "reason"),
    [
        ([], [], "no image contributes"),
        ([0, 0], [0, 0], "no image contributes"),
        ([3, 0], [7, 0], "1 of at least 2 images"),
        ([7] * 7, [7] * 7, "near 0 or 1: 7 of at least 20 images"),
        ([0] * 19, [5] * 19, "near 0 or 1: 19 of at least 20 images"),
    ],
)
def test_a_share_that_the_images_do_not_carry_gives_a_reason(won, tried, reason):
    found = clustered.share(won, tried)
    assert (found.low, found.high, found.reason) == (None, None, reason)


def test_every_point_accepted_counts_each_image_once():
    """Of the spread nothing is known: 20 images of 12 points may be as good as 20 points."""
    found = clustered.share([12] * 20, [12] * 20)
    expected = stats.binomtest(20, 20).proportion_ci(0.95, "wilson")
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.high == 1
    assert clustered.share([0] * 20, [12] * 20).low == 0


@pytest.mark.parametrize(
    ("won", "tried"),
    [([2], [1]), ([-1], [1]), ([1, 1], [1]), ([1, 1], [2, 0]), ([math.nan], [1]), ([0], [-1])],
)
def test_counts_that_cannot_be_are_refused(won, tried):
    with pytest.raises(ValueError, match="expected"):
        clustered.share(won, tried)


@given(st.integers(0, 1000), st.sampled_from(["share", "positive", "any"]))
@settings(max_examples=30)
def test_the_order_of_images_does_not_matter_and_twice_the_images_narrow(seed, scale):
    random = np.random.default_rng(seed)
    bottom = random.integers(1, 9, 25)
    top = bottom * random.random(25)
    order = random.permutation(25)
    found = clustered.ratio(top, bottom, scale=scale)
    shuffled = clustered.ratio(top[order], bottom[order], scale=scale)
    assert (shuffled.low, shuffled.high) == pytest.approx((found.low, found.high), rel=1e-9)
    twice = clustered.ratio(np.tile(top, 2), np.tile(bottom, 2), scale=scale)
    assert twice.value == pytest.approx(found.value)
    assert twice.high - twice.low < found.high - found.low
    assert found.low <= found.value <= found.high


@given(st.integers(0, 1000), st.floats(1e-3, 1e3))
@settings(max_examples=30)
def test_a_ratio_and_a_quantile_scale_with_their_unit(seed, unit):
    random = np.random.default_rng(seed)
    values, image = random.gamma(2, 3, 60), np.repeat(np.arange(12), 5)
    top, bottom = np.bincount(image, values), np.bincount(image)
    for scale in ("positive", "any"):
        one = clustered.ratio(top, bottom, scale=scale)
        other = clustered.ratio(unit * top, bottom, scale=scale)
        expected = (unit * one.value, unit * one.low, unit * one.high)
        assert (other.value, other.low, other.high) == pytest.approx(expected)
    one, other = (clustered.quantile(factor * values, image, 0.9) for factor in (1, unit))
    expected = (unit * one.value, unit * one.low, unit * one.high)
    assert (other.value, other.low, other.high) == pytest.approx(expected)


def test_a_mean_of_one_number_an_image_has_students_interval():
    numbers = np.linspace(-1, 2, 15)  # their kurtosis is below 3: all degrees of freedom count
    found = clustered.ratio(numbers, np.ones(15), scale="any")
    expected = stats.ttest_1samp(numbers, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("scale", ["share", "positive", "any"])
def test_with_many_images_every_scale_gives_the_bootstraps_interval(scale):
    won, tried = clustered_counts(400)
    found = clustered.ratio(won, tried, scale=scale)
    expected = stats.bootstrap(
        (won, tried),
        lambda top, bottom, axis: top.sum(axis) / bottom.sum(axis),
        paired=True,
        rng=np.random.default_rng(1),
        n_resamples=4000,
    ).confidence_interval
    width = expected.high - expected.low
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.06 * width)


def test_a_ratio_that_the_images_do_not_carry_gives_a_reason():
    assert clustered.ratio([1] * 4, [2] * 4, scale="any").reason == "4 of at least 5 images"
    assert clustered.ratio([1] * 9, [2] * 9, scale="positive").reason == "the images do not differ"
    assert clustered.ratio([0] * 9, [2] * 9, scale="positive").value == 0
    assert clustered.ratio([2] * 9, [2] * 9, scale="share").reason.startswith("near 0 or 1")
    assert clustered.ratio([], [], scale="any").reason == "no image contributes"
    with pytest.raises(ValueError, match="fits scale='share'"):
        clustered.ratio([3], [2], scale="share")


def test_a_median_lies_in_its_interval_however_many_values_there_are():
    random = np.random.default_rng(4)
    image = np.repeat(np.arange(20_000), 6)
    values = np.exp(
        random.standard_normal(len(image)) + 0.5 * random.standard_normal(20_000)[image]
    )
    found = clustered.quantile(values, image, 0.5)
    assert found.low < found.value < found.high
    assert 0.005 < (found.high - found.low) / found.value < 0.05
    assert found.deff == pytest.approx(1.7, abs=0.3)


def test_a_quantile_of_one_value_an_image_reads_woodruffs_ranks():
    values = np.arange(100.0)
    found = clustered.quantile(values, np.arange(100), 0.5)
    # The share below varies by 0.25/99: 0.5 ± 1.984 · 0.0503 are the ranks 40.03 and 59.97.
    assert (found.value, found.low, found.high) == (49.5, 40, 59)
    assert found.deff == pytest.approx(100 / 99)


def test_a_quantile_follows_a_monotone_change_of_scale():
    random = np.random.default_rng(5)
    image = np.repeat(np.arange(15), 7)
    values = random.gamma(2, 3, 105)
    one, other = (clustered.quantile(part, image, 0.5) for part in (values, np.log(values)))
    expected = tuple(math.log(number) for number in (one.value, one.low, one.high))
    assert (other.value, other.low, other.high) == pytest.approx(expected)


def test_a_median_among_many_zeros_is_0_with_0_as_lower_end():
    random = np.random.default_rng(6)
    image = np.repeat(np.arange(30), 10)
    values = np.where(random.random(300) < 0.6, 0, random.gamma(2, 3, 300))
    found = clustered.quantile(values, image, 0.5)
    assert (found.value, found.low) == (0, 0)
    assert found.high < np.quantile(values, 0.75)


def test_a_quantile_that_the_images_do_not_carry_gives_a_reason():
    image = np.arange(9)
    assert clustered.quantile(np.zeros(9), image, 0.5).reason == "all values are equal"
    few = clustered.quantile([1, 2, 3], np.array([0, 4, 4]), 0.5)
    assert (few.value, few.images, few.reason) == (2, 2, "2 of at least 5 images")
    assert clustered.quantile([], np.array([], int), 0.5).reason == "no image contributes"
    with pytest.raises(ValueError, match="finite"):
        clustered.quantile([math.nan], np.array([0]), 0.5)
    with pytest.raises(ValueError, match="0 < q < 1"):
        clustered.quantile([1.0], np.array([0]), 1.0)


def test_images_that_agree_on_a_quantile_still_give_it_a_width():
    image = np.repeat(np.arange(20), 2)
    found = clustered.quantile(np.tile([1.0, 3.0], 20) + np.arange(40) / 100, image, 0.5)
    assert found.high > found.low


def test_open_tabs_and_times_of_0_are_left_out_and_counted():
    seconds = [8, 12, 10, 9, 11, 10, 0, 1800, 1800.1, 7 * 3600, math.nan]
    found = clustered.geometric_mean(seconds, np.arange(11))
    assert found.value == pytest.approx(stats.gmean([8, 12, 10, 9, 11, 10, 1800]))
    assert (found.n, found.images, found.left_out) == (7, 7, 4)
    median = clustered.median_time(seconds, np.arange(11))
    assert (median.value, median.left_out) == (10, 4)


def test_a_geometric_mean_of_one_time_an_image_has_students_interval_of_the_logarithms():
    logarithms = np.linspace(1, 4, 12)
    found = clustered.geometric_mean(np.exp(logarithms), np.arange(12))
    expected = stats.ttest_1samp(logarithms, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(
        (math.exp(expected.low), math.exp(expected.high))
    )
    assert found.deff == pytest.approx(1)


def test_times_that_the_images_do_not_carry_give_a_reason():
    assert clustered.geometric_mean([0.0], np.array([3])).reason == "no image contributes"
    assert clustered.geometric_mean([5.0] * 4, np.arange(4)).reason == "4 of at least 5 images"
    assert clustered.geometric_mean([5.0] * 6, np.arange(6)).reason == "the images do not differ"
    assert clustered.median_time([5.0] * 6, np.arange(6)).reason == "all values are equal"


@pytest.mark.parametrize(("icc", "images"), [(0, 27), (0.1, 57), (0.2, 87), (0.4, 146)])
def test_images_needed_for_5_points_at_a_share_of_70_percent(icc, images):
    assert clustered.images_needed(0.7, 0.05, 1 + 11 * icc, 12) == images


def test_as_many_images_as_needed_give_the_interval_asked_for():
    images = clustered.images_needed(0.6, 0.05, 1 + 11 * 0.2, 12)
    widths = []
    for seed in range(40):
        found = clustered.share(*clustered_counts(images, seed=seed))
        widths.append((found.high - found.low) / 2)
    assert np.mean(widths) == pytest.approx(0.05, rel=0.06)
    with pytest.raises(ValueError, match="above 0"):
        clustered.images_needed(0.6, 0, 1, 12)


def test_another_level_gives_another_width():
    won, tried = clustered_counts(40)
    one, other = (clustered.share(won, tried, Limits(level=level)) for level in (0.95, 0.8))
    assert other.high - other.low < 0.7 * (one.high - one.low)


@pytest.mark.parametrize("module", ["clustered", "comparisons"])
def test_importing_loads_no_scipy(module):
    """The web process imports the package and must start fast."""
    command = f"import sys, backend.agreement.{module}; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], timeout=60).returncode == 0


def test_an_image_whose_denominator_vanishes_beside_another_does_not_contribute():
    """Chance finds a point at the border of its object hardly ever, one in its middle often."""
    found = clustered.ratio([1, 1, 1], [0.3, 1e-18, 1e-300], scale="positive")
    assert (found.images, found.reason) == (1, "1 of at least 5 images")
    assert found.value == pytest.approx(1 / 0.3)
