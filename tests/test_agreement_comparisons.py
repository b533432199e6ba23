"""Differences and tests of groups of images, against SciPy and cases worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportions_ztest

from backend.agreement import clustered, comparisons
from backend.agreement.comparisons import Stratum
from backend.agreement.limits import Limits
from backend.agreement.linearised import Linearised, linearise


def mean(numbers):
    """The mean of one number an image."""
    return linearise(numbers, np.ones(len(numbers)))


# Their kurtosis is below 3: all degrees of freedom count, as in SciPy.
SHORT, LONG, WIDE = np.linspace(0, 1, 9), np.linspace(0.2, 2, 14), np.linspace(-3, 4, 11)


def test_an_independent_difference_is_welchs():
    found = comparisons.difference_independent(mean(SHORT), mean(LONG))
    expected = stats.ttest_ind(SHORT, LONG, equal_var=False)
    ends = expected.confidence_interval(0.95)
    assert found.value == pytest.approx(SHORT.mean() - LONG.mean())
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    assert found.images == 23


def test_an_independent_difference_without_data_gives_a_reason():
    assert comparisons.difference_independent(None, mean(LONG)).reason == "a group has no image"
    few = comparisons.difference_independent(mean([1, 2]), mean(LONG))
    assert (few.low, few.reason) == (None, "2 of at least 5 images")
    alike = comparisons.difference_independent(mean(np.ones(9)), mean(LONG))
    assert (alike.low, alike.reason) == (None, "in one group the images do not differ")


def test_a_paired_difference_is_students():
    first, second = np.linspace(0, 1, 11), np.linspace(0.1, 1.5, 11) ** 2
    found = comparisons.difference_paired((first, np.ones(11)), (second, np.ones(11)))
    ends = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))


def test_a_paired_difference_rests_on_images_where_both_exist():
    first = ([1, 2, 3, 1, 0, 4, 9], [2, 3, 4, 5, 3, 4, 9])
    second = ([1, 1, 2, 1, 1, 2, 0], [3, 3, 3, 3, 3, 3, 0])
    found = comparisons.difference_paired(first, second)
    assert found.images == 6
    assert found.value == pytest.approx(11 / 21 - 8 / 18)
    assert found == comparisons.difference_paired(
        *(tuple(p[:6] for p in part) for part in (first, second))
    )


def test_a_paired_difference_has_the_jackknifes_variance():
    random = np.random.default_rng(0)
    a, b, c, d = random.integers(1, 9, (4, 12))
    found = comparisons.difference_paired((a, b), (c, d))

    def figure(kept):
        return a[kept].sum() / b[kept].sum() - c[kept].sum() / d[kept].sum()

    moves = [figure(np.arange(12) != i) - figure(slice(None)) for i in range(12)]
    variance = 11 / 12 * np.square(moves).sum()
    t = (found.high - found.value) / math.sqrt(variance)
    assert stats.t.ppf(0.975, 11) <= t < 1.15 * stats.t.ppf(0.975, 11)


def test_a_paired_difference_without_data_gives_a_reason():
    ones = np.ones(9)
    assert comparisons.difference_paired(([1], [0]), ([1], [1])).reason == "no image has both"
    few = comparisons.difference_paired(([1, 2], [1, 1]), ([1, 1], [1, 1]))
    assert (few.value, few.reason) == (0.5, "2 of at least 5 images")
    same = comparisons.difference_paired((SHORT, ones), (SHORT, ones))
    assert (same.value, same.reason) == (0, "the images do not differ")
    with pytest.raises(ValueError, match="same length"):
        comparisons.difference_paired((SHORT, ones), (ones, np.ones(8)))


def test_one_stratum_is_an_independent_difference():
    one = comparisons.difference_stratified([Stratum(mean(SHORT), mean(LONG))])
    other = comparisons.difference_independent(mean(SHORT), mean(LONG))
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))
    assert (one.n, one.images) == (14, 23)


def test_strata_weigh_by_their_withheld_images():
    strata = [Stratum(mean(SHORT), mean(LONG)), Stratum(mean(LONG), mean(WIDE))]
    found = comparisons.difference_stratified(strata)
    weights = np.array([14, 11]) / 25
    expected = weights @ [SHORT.mean() - LONG.mean(), LONG.mean() - WIDE.mean()]
    assert found.value == pytest.approx(expected)
    errors = [(values.var(ddof=1) / len(values)) for values in (SHORT, LONG, LONG, WIDE)]
    terms = np.repeat(weights, 2) ** 2 * errors
    df = terms.sum() ** 2 / (terms**2 / [8, 13, 13, 10]).sum()
    half = stats.t.ppf(0.975, df) * math.sqrt(terms.sum())
    assert (found.low, found.high) == pytest.approx((expected - half, expected + half))


def test_an_easy_project_without_withheld_tasks_does_not_make_suggestions_look_helpful():
    """Project A is easy and all shown, B is hard: only B can say what showing changes."""
    random = np.random.default_rng(1)
    easy, hard = ([random.binomial(12, p, 60) for _ in range(2)] for p in (0.9, 0.5))
    points = np.full(60, 12)
    strata = [
        Stratum(linearise(easy[0], points), None),
        Stratum(linearise(hard[0], points), linearise(hard[1], points)),
    ]
    pooled = linearise(np.concatenate([easy[0], hard[0]]), np.tile(points, 2))
    assert comparisons.difference_independent(pooled, linearise(hard[1], points)).low > 0.1
    found = comparisons.difference_stratified(strata)
    assert found.low < 0 < found.high
    assert (found.n, found.images, found.left_out) == (60, 120, 0)


def test_too_few_withheld_images_say_how_many_are_missing():
    strata = [
        Stratum(mean(LONG), mean([1, 2, 4])),
        Stratum(None, mean(LONG)),
        Stratum(mean(LONG), mean([1])),
    ]
    found = comparisons.difference_stratified(strata)
    assert (found.value, found.low, found.reason) == (None, None, "7 more withheld images needed")
    assert (found.n, found.left_out) == (3, 15)
    assert comparisons.difference_stratified([]).reason == "10 more withheld images needed"
    enough = comparisons.difference_stratified(strata, Limits(fewest_withheld=3))
    assert enough.low < enough.value < enough.high


def test_seconds_saved_are_a_difference_of_geometric_means():
    random = np.random.default_rng(2)
    shown, withheld = (median * random.lognormal(0, 0.5, 400) for median in (8, 12))
    logs = [clustered.log_times(part, np.arange(400)) for part in (withheld, shown)]
    assert all(isinstance(part, Linearised) for part in logs)
    found = comparisons.difference_independent(*map(clustered.geometric_seconds, logs))
    assert found.value == pytest.approx(stats.gmean(withheld) - stats.gmean(shown))
    drawn = stats.bootstrap(
        (withheld, shown),
        lambda one, other, axis: stats.gmean(one, axis=axis) - stats.gmean(other, axis=axis),
        rng=random, n_resamples=3000,
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.1)


def test_shares_in_alike_images_are_compared_by_pearsons_chi_square():
    groups = [([6] * 10, [10] * 10), ([4] * 12, [10] * 12), ([5] * 9, [10] * 9)]
    table = [[sum(won) for won, _ in groups], [sum(n) - sum(won) for won, n in groups]]
    chi_square = stats.chi2_contingency(table, correction=False).statistic
    found = comparisons.compare_shares([linearise(*group) for group in groups])
    assert found.p == pytest.approx(stats.f.sf(chi_square / 2, 2, 9 + 11 + 8))


def test_shares_in_clustered_images_are_compared_with_their_design_effect():
    won = [
        np.array([12, 11, 2, 9, 10, 12, 1, 12, 8, 12]),
        np.array([2, 0, 12, 3, 9, 1, 7, 0, 5, 4]),
    ]
    groups = [linearise(part, np.full(10, 12)) for part in won]
    table = [[part.sum(), 120 - part.sum()] for part in won]
    found = comparisons.compare_shares(groups).p
    assert stats.chi2_contingency(table, correction=False).pvalue < 1e-6
    # Two groups of ten images of one size: the F of an analysis of variance, t².
    assert found == pytest.approx(stats.ttest_ind(*won).pvalue)
    assert 0.01 < found < 0.05


def test_groups_that_do_not_carry_a_test_give_a_reason():
    found = comparisons.compare_shares([mean(SHORT), mean([0.5, 1])])
    assert (found.p, found.groups) == (None, 1)
    assert found.reason == "fewer than two groups with 5 images"
    perfect = linearise([3] * 9, [3] * 9)
    assert comparisons.compare_shares([perfect, perfect]).p == 1


def test_holms_p_values_are_those_of_a_case_worked_by_hand():
    adjusted = comparisons.holm([0.01, 0.04, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparisons.holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.001, 0.2))
def test_holm_rejects_what_the_stepwise_procedure_rejects(p_values, alpha):
    rejected = set()
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if (len(p_values) - step) * p_values[index] > alpha:
            break
        rejected.add(index)
    adjusted = comparisons.holm(p_values)
    assert {index for index, p in enumerate(adjusted) if p <= alpha} == rejected
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))


def shares(random, images, mean, icc):
    """A share of 1 to 23 points in each image."""
    points = random.integers(1, 24, images)
    chances = np.full(images, mean)
    if icc and 0 < mean < 1:
        size = (1 - icc) / icc
        chances = random.beta(mean * size, (1 - mean) * size, images)
    return linearise(random.binomial(points, chances), points)


def test_two_shares_of_alike_images_are_compared_by_the_pooled_test_of_statsmodels():
    groups = [([6] * 10, [10] * 10), ([4] * 12, [10] * 12)]
    statistic, _ = proportions_ztest([60, 48], [100, 120])
    one, other = (60 + 48) / 220 * (1 - 108 / 220) / np.array([100, 120])
    df = (one + other) ** 2 / (one**2 / 9 + other**2 / 11)
    found = comparisons.equal_shares_p(*(linearise(*group) for group in groups))
    assert found == pytest.approx(2 * stats.t.sf(statistic, df))


def test_two_shares_of_clustered_images_are_nearly_compared_as_by_welch():
    random = np.random.default_rng(5)
    won = [random.binomial(12, random.beta(2, 2, 200)) for _ in range(2)]
    found = comparisons.equal_shares_p(*(linearise(part, np.full(200, 12)) for part in won))
    assert found == pytest.approx(stats.ttest_ind(*won, equal_var=False).pvalue, abs=0.002)


def test_pairs_are_compared_with_p_values_that_hold_for_all_of_them():
    random = np.random.default_rng(3)
    groups = [shares(random, 20, share, 0.1) for share in (0.6, 0.7, 0.1)]
    groups.insert(1, shares(random, 4, 0.5, 0))
    found = comparisons.compare_pairs(groups)
    assert [(pair.first, pair.second) for pair in found] == [(0, 2), (0, 3), (2, 3)]
    plain = [comparisons.equal_shares_p(groups[pair.first], groups[pair.second]) for pair in found]
    assert [pair.p for pair in found] == pytest.approx(comparisons.holm(plain))
    assert found[1].p < 0.001


def test_groups_without_spread_are_compared_as_well():
    """Their images do not differ, so that only the points of the other group tell how far they
    might."""
    random = np.random.default_rng(4)
    all_kept, none_kept = shares(random, 30, 1, 0), shares(random, 30, 0, 0)
    some = shares(random, 30, 0.7, 0.2)
    first, second, third = comparisons.compare_pairs([all_kept, some, none_kept])
    assert first.p < 0.01
    assert second.p < first.p
    assert third.p < 0.001
    assert comparisons.equal_shares_p(all_kept, shares(random, 9, 1, 0)) == 1
    nearly = shares(random, 5, 0.9, 0)
    assert comparisons.equal_shares_p(shares(random, 5, 1, 0), nearly) > 0.05


@pytest.mark.parametrize(
    "equal",
    [
        [(5, 0.9, 0.4)] * 5,
        [(10, 0.95, 0.2)] * 5,
        [(20, 0.7, 0.4)] * 5,
        [(5, 0.9, 0.2), (50, 0.9, 0.2)],
        [(10, 0.95, 0.4), (100, 0.95, 0)],
        [(50, 0.98, 0)] * 5,
        [(5, 1.0, 0)] * 2 + [(20, 0.7, 0.2)] * 3,
    ],
)
def test_any_of_the_pairs_of_equal_groups_differs_in_at_most_5_of_100_projects(equal):
    """Some of these groups have no spread; 5 % and three standard errors of 400 projects."""
    random = np.random.default_rng(6)
    wrong = 0
    for _ in range(400):
        groups = [shares(random, *each) for each in equal]
        found = comparisons.compare_pairs(groups)
        wrong += any(
            pair.p < 0.05 for pair in found if equal[pair.first][1] == equal[pair.second][1]
        )
    assert wrong <= 0.05 * 400 + 13


def test_a_group_that_keeps_everything_is_found_to_differ():
    random = np.random.default_rng(7)
    found = [
        comparisons.compare_pairs([shares(random, 40, 1, 0), shares(random, 40, 0.85, 0.2)])[0].p
        for _ in range(100)
    ]
    assert sum(p < 0.05 for p in found) > 80
