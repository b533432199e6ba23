"""Normal equations: additive, and equal to regression on all cells at once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from naming_scene import DIMENSIONS, GRID, LABELS, example, examples
from sklearn.linear_model import Ridge

from model.naming.examples import views
from model.naming.grid import bumps
from model.naming.moments import RIDGE, SIGMA, moments, total


def all_cells(taught):
    """Return (N, D) features and (N, L) heat of all cells of all views, written out."""
    rows, heat = [], []
    for each in taught:
        for view in views(each):
            rows.append(view.values.reshape(-1, DIMENSIONS))
            maps = np.zeros((len(LABELS), GRID, GRID))
            for label, point in view.points.items():
                maps[LABELS.index(label)] = bumps(point[None], GRID, SIGMA)[0]
            heat.append(maps.reshape(len(LABELS), -1).T)
    return np.concatenate(rows).astype(np.float64), np.concatenate(heat)


def test_the_weights_are_those_of_ridge_regression_on_all_cells():
    taught = examples(3)
    rows, heat = all_cells(taught)
    sums = total([moments(each) for each in taught])
    penalty = RIDGE * (rows**2).sum(axis=0).mean()
    expected = Ridge(alpha=penalty, solver="cholesky").fit(rows, heat)
    found = sums.weights(LABELS)
    np.testing.assert_allclose(found[:-1].T, expected.coef_, atol=1e-4)
    np.testing.assert_allclose(found[-1], expected.intercept_, atol=1e-4)


def test_mean_and_covariance_are_those_of_all_cells():
    taught = examples(2)
    rows, _ = all_cells(taught)
    sums = total([moments(each) for each in taught])
    np.testing.assert_allclose(sums.means(), rows.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(sums.covariance(), np.cov(rows.T, bias=True), atol=1e-3)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=6, unique=True), st.data())
def test_an_example_that_is_subtracted_might_never_have_been_added(seeds, data):
    forgotten = data.draw(st.sampled_from(seeds))
    parts = {seed: moments(example(seed)) for seed in seeds}
    left = total(list(parts.values())) - parts[forgotten]
    never = total([part for seed, part in parts.items() if seed != forgotten])
    np.testing.assert_allclose(left.gram, never.gram, rtol=0, atol=1e-9 * never.gram.max())
    np.testing.assert_allclose(left.weights(LABELS), never.weights(LABELS), atol=1e-6)


def test_a_label_without_a_point_has_no_heat():
    weights = moments(example(0)).weights(["beak", "nobody's"])
    assert not weights[:, 1].any()
    assert weights[:, 0].any()
