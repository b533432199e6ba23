"""Logistic regression with a prior."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import bernoulli, norm
from sklearn.linear_model import LogisticRegression

from model.naming.confidence import (
    COEFFICIENT_VARIANCE,
    CONSTANT_VARIANCE,
    Logistic,
    fit_logistic,
    neutral,
)
from model.naming.evidence import FIGURES
from model.naming.expectation import VISIBLE, WITHIN

EXPECTED = Logistic(np.array([0.0, 2, -1]), np.array([1, 5, 0.1]), np.array([1, -1, 0.0]), 0.3)


def drawn(count, seed=0):
    random = np.random.RandomState(seed)
    rows = random.standard_normal((count, 3)) * [1, 5, 0.1] + [0, 2, -1]
    chance = 1 / (1 + np.exp(-(1.5 * rows[:, 0] - 0.3 * rows[:, 1] + 0.5)))
    return rows, random.uniform(size=count) < chance


def test_probabilities_equal_scikit_learns():
    """Its prior has one variance, so the column of ones is as long as to give the constant ours."""
    rows, truth = drawn(200)
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    ones = np.full((200, 1), np.sqrt(CONSTANT_VARIANCE / COEFFICIENT_VARIANCE))
    design = np.column_stack([standard, ones])
    expected = LogisticRegression(
        C=COEFFICIENT_VARIANCE, fit_intercept=False, tol=1e-10, max_iter=1000
    ).fit(design, truth)
    np.testing.assert_allclose(
        fit_logistic(rows, truth, neutral(rows))(rows),
        expected.predict_proba(design)[:, 1],
        atol=1e-5,
    )


def test_the_most_probable_coefficients_under_an_expectation_are_found():
    rows, truth = drawn(30)
    standard = (rows - EXPECTED.mean) / EXPECTED.deviation

    def unlikely(values):
        chance = 1 / (1 + np.exp(-(standard @ values[:3] + values[3])))
        priors = norm.logpdf(values[:3], EXPECTED.coefficients, np.sqrt(COEFFICIENT_VARIANCE)).sum()
        priors += norm.logpdf(values[3], EXPECTED.constant, np.sqrt(CONSTANT_VARIANCE))
        return -(bernoulli.logpmf(truth, chance).sum() + priors)

    best = minimize(unlikely, np.zeros(4), tol=1e-9).x
    found = fit_logistic(rows, truth, EXPECTED)
    np.testing.assert_allclose([*found.coefficients, found.constant], best, atol=1e-4)


def test_without_any_row_nothing_but_the_expectation_counts():
    nothing = fit_logistic(np.zeros((0, 3)), np.zeros(0, bool), EXPECTED)
    rows, _ = drawn(5)
    np.testing.assert_allclose(nothing(rows), EXPECTED(rows))


def test_many_rows_outweigh_an_expectation_that_is_wrong():
    rows, truth = drawn(5000)
    found = fit_logistic(rows, truth, EXPECTED)
    np.testing.assert_allclose(found.coefficients, [1.5, -1.5, 0], atol=0.15)


def test_nothing_is_certain_even_where_all_rows_were_true():
    rows, _ = drawn(10)
    chance = fit_logistic(rows, np.ones(10, bool), neutral(rows))(rows)
    assert (chance > 0.5).all()
    assert (chance < 0.99).all()


def test_a_column_that_never_changes_does_no_harm():
    rows, truth = drawn(50)
    rows[:, 1] = 4.0
    assert np.isfinite(fit_logistic(rows, truth, neutral(rows))(rows)).all()


def test_perfectly_separated_rows_have_finite_coefficients():
    rows = np.linspace(-1, 1, 20)[:, None]
    found = fit_logistic(rows, rows[:, 0] > 0, neutral(rows))
    assert np.abs(found.coefficients).max() < 10


@pytest.mark.parametrize("expected", [VISIBLE, WITHIN])
def test_the_expectation_has_a_number_for_each_figure(expected):
    assert expected.mean.shape == expected.deviation.shape == (len(FIGURES),)
    assert expected.coefficients.shape == (len(FIGURES),)
    assert (expected.deviation > 0).all()
