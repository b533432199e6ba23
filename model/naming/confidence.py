"""Logistic regressions with a prior, which turn figures into probabilities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Variance of the normal prior of each coefficient, for standardised columns.
PRIOR_VARIANCE = 1.0
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
        standard = (rows - self.mean) / self.deviation
        exponent = self.constant + standard @ self.coefficients
        return np.asarray(1 / (1 + np.exp(-np.clip(exponent, -30, 30))))


def fit_logistic(rows: Floats, truth: NDArray[np.bool_], weights: Floats | None = None) -> Logistic:
    """Return the most probable logistic regression, with a normal prior on its coefficients.

    The constant has no prior, but one success and one failure of weight ½ each are added at the
    mean of the rows, so that nothing is ever certain and no row is needed.

    Args:
        rows: (N, C), finite.
        truth: (N,).
        weights: (N,), all 1 if None.

    Source: Newton's method, as in Bishop, Pattern Recognition and Machine Learning, 4.3.3.
    """
    count, columns = rows.shape
    mean = rows.mean(axis=0) if count else np.zeros(columns)
    deviation = rows.std(axis=0) if count else np.ones(columns)
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    design = np.zeros((count + 2, columns + 1))
    design[:count, :-1] = (rows - mean) / deviation
    design[:, -1] = 1
    target = np.append(truth.astype(np.float64), [0.0, 1.0])
    weight = np.append(np.ones(count) if weights is None else weights, [0.5, 0.5])
    precision = np.append(np.full(columns, 1 / PRIOR_VARIANCE), 0.0)
    solution = _newton(design, target, weight, precision)
    return Logistic(mean, deviation, solution[:-1], float(solution[-1]))


def _newton(design: Floats, target: Floats, weight: Floats, precision: Floats) -> Floats:
    """Minimise the penalised negative log likelihood; halve a step that does not lower it."""
    solution = np.zeros(design.shape[1])
    loss = _loss(solution, design, target, weight, precision)
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ solution, -30, 30)))
        slope = design.T @ (weight * (chance - target)) + precision * solution
        curvature = (design.T * (weight * chance * (1 - chance))) @ design + np.diag(precision)
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(solution)), slope)
        size = 1.0
        while (
            lower := _loss(solution - size * step, design, target, weight, precision)
        ) > loss and size > 1e-6:
            size /= 2
        solution = solution - size * step
        if loss - lower < 1e-10:
            break
        loss = lower
    return solution


def _loss(
    solution: Floats, design: Floats, target: Floats, weight: Floats, precision: Floats
) -> float:
    exponent = design @ solution
    likelihood = weight @ (np.logaddexp(0, exponent) - target * exponent)
    return float(likelihood + 0.5 * precision @ solution**2)
