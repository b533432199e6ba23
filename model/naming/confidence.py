"""Logistic regressions with a prior, which turn figures into probabilities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Variances of the normal priors, for standardised columns. They are smaller than the spread between
# projects, because the rows of one image resemble each other and say less than independent ones.
COEFFICIENT_VARIANCE = 0.1
CONSTANT_VARIANCE = 0.3
STEPS = 30


@dataclass(frozen=True, eq=False)
class Logistic:
    """P(true) = 1 / (1 + exp(-(constant + coefficients · (x - mean) / deviation))).

    Attributes:
        mean, deviation, coefficients: (C,).
    """

    mean: Floats
    deviation: Floats
    coefficients: Floats
    constant: float

    def __call__(self, rows: Floats) -> Floats:
        """Return (N,) probabilities for (N, C) rows."""
        exponent = self.constant + self.standardised(rows) @ self.coefficients
        return np.asarray(1 / (1 + np.exp(-np.clip(exponent, -30, 30))))

    def standardised(self, rows: Floats) -> Floats:
        """Return (N, C) rows in units of the deviation from the mean."""
        return np.asarray((rows - self.mean) / self.deviation)


def fit_logistic(rows: Floats, truth: NDArray[np.bool_], expected: Logistic) -> Logistic:
    """Return the most probable logistic regression, with normal priors around an expected one.

    Without any row, it is the expected one.

    Args:
        rows: (N, C), finite.
        truth: (N,).
        expected: its coefficients and constant are the means of the priors; its mean and deviation
            standardise the rows.

    Source: Newton's method, as in Bishop, Pattern Recognition and Machine Learning, 4.3.3.
    """
    count, columns = rows.shape
    design = np.column_stack([expected.standardised(rows), np.ones(count)])
    centre = np.append(expected.coefficients, expected.constant)
    variance = np.append(np.full(columns, COEFFICIENT_VARIANCE), CONSTANT_VARIANCE)
    solution = _newton(design, truth.astype(np.float64), centre, 1 / variance)
    return Logistic(expected.mean, expected.deviation, solution[:-1], float(solution[-1]))


def neutral(rows: Floats) -> Logistic:
    """Return the regression that knows the spread of (N, C) rows, and nothing of their truth."""
    deviation = rows.std(axis=0)
    return Logistic(
        rows.mean(axis=0),
        np.where(deviation > 1e-9, deviation, 1.0),
        np.zeros(rows.shape[1]),
        0.0,
    )


def _newton(design: Floats, target: Floats, centre: Floats, precision: Floats) -> Floats:
    """Minimise the penalised negative log likelihood; halve a step that does not lower it."""
    solution = centre
    loss = _loss(solution, design, target, centre, precision)
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ solution, -30, 30)))
        slope = design.T @ (chance - target) + precision * (solution - centre)
        curvature = (design.T * (chance * (1 - chance))) @ design + np.diag(precision)
        step = np.linalg.solve(curvature, slope)
        size = 1.0
        while (
            lower := _loss(solution - size * step, design, target, centre, precision)
        ) > loss and size > 1e-6:
            size /= 2
        solution = solution - size * step
        if loss - lower < 1e-10:
            break
        loss = lower
    return solution


def _loss(
    solution: Floats, design: Floats, target: Floats, centre: Floats, precision: Floats
) -> float:
    exponent = design @ solution
    penalty = 0.5 * precision @ (solution - centre) ** 2
    return float((np.logaddexp(0, exponent) - target * exponent).sum() + penalty)
