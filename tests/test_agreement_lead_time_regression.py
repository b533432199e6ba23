"""The regression of lead times, against SciPy and itself without each image."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from backend.agreement.lead_time_regression import TUNING, independent, regress

TRUE = np.array([0.5, 2.0, 3.5, 4.0, 9.0])  # three actions, two annotators


def world(seed: int, annotations: int, *, noise: float = 0.4, images: int | None = None):
    """A design, lead times around its sums, and the image of each annotation."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson([8, 2, 3], (annotations, 3))
    annotator = rng.integers(2, size=annotations)
    design = np.column_stack([counts, annotator == 0, annotator == 1]).astype(float)
    seconds = design @ TRUE * np.exp(rng.normal(0, noise, annotations))
    image = np.arange(annotations) if images is None else rng.integers(images, size=annotations)
    return design, seconds, image


@pytest.mark.parametrize("seed", range(6))
def test_the_fit_is_scipys_with_the_same_loss(seed):
    design, seconds, image = world(seed, 120)
    seconds[::25] += 900.0  # tabs left open
    found = regress(design, seconds, image).values
    # The scale is that of the fit before: two rounds, the first from plain least squares.
    values, scale = np.ones(5), math.inf
    for _ in range(3):
        values = least_squares(
            lambda tried: np.log(seconds) - np.log(design @ tried),
            np.maximum(values, 1e-3),
            bounds=(1e-9, np.inf),
            loss="linear" if math.isinf(scale) else "huber",
            f_scale=1.0 if math.isinf(scale) else TUNING * scale,
            xtol=1e-13,
            ftol=1e-13,
            gtol=1e-13,
        ).x
        rest = np.log(seconds / (design @ values))
        scale = float(np.median(np.abs(rest - np.median(rest)))) / 0.6745
    assert found == pytest.approx(values, rel=2e-3, abs=2e-3)


def test_times_without_noise_give_the_coefficients_themselves():
    design, seconds, image = world(1, 80, noise=0.0)
    found = regress(design, seconds, image)
    assert found.values == pytest.approx(TRUE, rel=1e-6)
    assert np.abs(found.influences).max() < 1e-5


def test_tabs_left_open_hardly_move_the_coefficients():
    design, seconds, image = world(2, 600)
    before = regress(design, seconds, image).values
    seconds[::30] = 1700.0
    after = regress(design, seconds, image).values
    assert after[:3] == pytest.approx(before[:3], rel=0.15)


def test_influences_are_about_what_leaving_out_an_image_changes():
    design, seconds, image = world(3, 300, images=150)
    found = regress(design, seconds, image)
    assert found.influences.shape == (len(np.unique(image)), 5)
    changes = []
    for each in np.unique(image):
        kept = image != each
        changes.append(found.values - regress(design[kept], seconds[kept], image[kept]).values)
    spread, exact = found.influences.std(axis=0), np.std(changes, axis=0)
    assert spread == pytest.approx(exact, rel=0.25)
    for column in range(5):
        assert np.corrcoef(found.influences[:, column], np.array(changes)[:, column])[0, 1] > 0.9


@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_coefficients_scale_with_the_times_and_none_is_negative(seed, factor):
    design, seconds, image = world(seed, 40, noise=0.8)
    one, other = (regress(design, each, image) for each in (seconds, factor * seconds))
    assert (one.values >= 0).all()
    assert other.values == pytest.approx(factor * one.values, rel=1e-2, abs=1e-2 * factor)


def test_columns_that_depend_on_one_another_are_found():
    rng = np.random.default_rng(0)
    some, other = rng.poisson(3, (2, 50)).astype(float)
    one = np.ones(50)
    # Constant, twice the same, all 0, free, and an intercept.
    design = np.column_stack([12 * one, some, 2 * some, 0 * one, other, one])
    fitted, determined = independent(design)
    assert fitted.tolist() == [False, False, True, False, True, True]
    assert determined.tolist() == [False, False, False, False, True, False]
