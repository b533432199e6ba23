"""Logistic regression with a prior."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from model.naming.confidence import PRIOR_VARIANCE, fit_logistic


def drawn(count, seed=0):
    random = np.random.RandomState(seed)
    rows = random.standard_normal((count, 3)) * [1, 5, 0.1] + [0, 2, -1]
    chance = 1 / (1 + np.exp(-(1.5 * rows[:, 0] - 0.3 * rows[:, 1] + 0.5)))
    return rows, random.uniform(size=count) < chance


def test_probabilities_equal_scikit_learns():
    rows, truth = drawn(200)
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    padded = np.concatenate([standard, np.zeros((2, 3))])
    weights = np.append(np.ones(200), [0.5, 0.5])
    expected = LogisticRegression(C=PRIOR_VARIANCE, tol=1e-10, max_iter=1000).fit(
        padded, np.append(truth, [False, True]), sample_weight=weights
    )
    np.testing.assert_allclose(
        fit_logistic(rows, truth)(rows), expected.predict_proba(standard)[:, 1], atol=1e-5
    )


def test_without_any_row_everything_is_even():
    nothing = fit_logistic(np.zeros((0, 3)), np.zeros(0, bool))
    np.testing.assert_allclose(nothing(np.ones((2, 3))), 0.5)


def test_nothing_is_certain_even_where_all_rows_were_true():
    rows, _ = drawn(10)
    chance = fit_logistic(rows, np.ones(10, bool))(rows)
    assert (chance > 0.85).all()
    assert (chance < 0.99).all()


def test_a_column_that_never_changes_does_no_harm():
    rows, truth = drawn(50)
    rows[:, 1] = 4.0
    assert np.isfinite(fit_logistic(rows, truth)(rows)).all()


def test_perfectly_separated_rows_have_finite_coefficients():
    rows = np.linspace(-1, 1, 20)[:, None]
    found = fit_logistic(rows, rows[:, 0] > 0)
    assert np.abs(found.coefficients).max() < 10
