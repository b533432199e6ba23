import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from backend.agreement.intervals import NOTHING, Clusters, wilson_share
from backend.agreement.parameters import AgreementParameters

PARAMETERS = AgreementParameters()
FEW_DRAWS = AgreementParameters(draws=200)


@given(st.integers(1, 500), st.data())
def test_the_interval_of_a_share_is_wilsons(trials, data):
    successes = data.draw(st.integers(0, trials))
    found = wilson_share(successes, trials, 0.95)
    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert found.value == successes / trials
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_share_of_nothing_has_no_value():
    assert wilson_share(0, 0, 0.95) == NOTHING
    assert (NOTHING.value, NOTHING.low, NOTHING.high, NOTHING.n) == (None, None, None, 0)


def test_few_images_have_a_value_but_no_interval():
    images = PARAMETERS.fewest_images - 1
    clusters = Clusters.of(images, PARAMETERS)
    found = clusters.ratio(np.ones(images), np.full(images, 2.0), images, 2 * images)
    assert (found.value, found.low, found.high) == (0.5, None, None)


def test_the_same_verdicts_have_the_same_interval_always():
    values, of = np.arange(30.0), np.arange(30)
    first, second = (
        Clusters.of(30, PARAMETERS).quantiles(values, of, [0.5, 0.9]) for _ in range(2)
    )
    assert first == second


def covered(images: int, draw, truth: float, rounds: int = 300) -> float:
    """How often the interval of a mean of clustered values holds the true one."""
    hits = 0
    for seed in range(rounds):
        generator = np.random.default_rng(seed)
        image, values = draw(generator)
        clusters = Clusters.of(images, FEW_DRAWS, seed=seed)
        group = np.zeros(len(values), np.int64)
        top = clusters.sums(image, group, 1, values)[0]
        bottom = clusters.sums(image, group, 1, None)[0]
        found = clusters.ratio(top, bottom, images, len(values))
        hits += found.low <= truth <= found.high
    return hits / rounds


@pytest.mark.parametrize("images", [60, 2 * PARAMETERS.most_clusters])
def test_the_bootstrap_covers_a_mean_of_points_that_are_alike_within_an_image(images):
    """With points taken as independent the interval would be three times too narrow."""

    def draw(generator):
        of_image = generator.normal(0.0, 1.0, images)
        sizes = generator.integers(5, 15, images)
        image = np.repeat(np.arange(images), sizes)
        return image, of_image[image] + generator.normal(0.0, 0.3, len(image))

    # 0.95, give or take three standard deviations of 300 rounds, and the bootstrap's own bias.
    assert 0.90 <= covered(images, draw, 0.0) <= 0.985


def test_the_bootstrap_covers_a_quantile():
    images, rounds, hits = 80, 300, 0
    truth = np.log(2)  # the median of an exponential distribution
    for seed in range(rounds):
        generator = np.random.default_rng(seed)
        values = generator.exponential(1.0, images * 4)
        clusters = Clusters.of(images, FEW_DRAWS, seed=seed)
        [found] = clusters.quantiles(values, np.repeat(np.arange(images), 4), [0.5])
        hits += found.low <= truth <= found.high
    assert 0.90 <= hits / rounds <= 0.985


def test_a_quantile_is_the_datas_own():
    values = np.array([1.0, 2.0, 3.0, 4.0, 10.0, 11.0])
    [found] = Clusters.of(6, PARAMETERS).quantiles(values, np.arange(6), [0.5])
    assert found.value == np.median(values)
    assert found.low in values and found.high in values
