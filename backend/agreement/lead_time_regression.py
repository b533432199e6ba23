"""What each action adds to the typical lead time, robust against tabs left open.

The typical time of annotation a is μ_a = Σ_j θ_j x_aj with θ_j >= 0: an intercept for its annotator
and a cost for each action. The θ minimise Σ ρ((log T_a - log μ_a) / s), with Huber's ρ and s the
normalised median of the absolute residuals. So times are geometric means, as in the comparison of
shown and withheld tasks; longer annotations may vary more; and one tab left open moves no cost by
more than any other long time.

Each image's influence on θ is that of its annotations, Â⁻¹ ψ_a x_a / (μ_a (1 - h_a)), with h_a the
leverage: to first order what leaving it out would change.

Sources: Huber, Annals of Mathematical Statistics 35, 1964 (ρ); Lawson and Hanson, Solving Least
Squares Problems, 1974, chapter 23 (non-negative least squares); MacKinnon and White, Journal of
Econometrics 29, 1985 (variance by the jackknife).
"""

import math
from dataclasses import dataclass

import numpy as np

from backend.agreement.columns import Flags, Floats, Integers

TUNING = 1.345  # of Huber's ρ: 95 % efficient where logarithms are normal
NORMAL_MEDIAN = 0.6745  # median absolute value of a standard normal
MOST_STEPS = 200
CLOSE = 1e-7  # a step that changes no typical time by more than this share ends the search
SHORTEST_STEP = 1e-6
DEPENDENT = 1e-9  # smallest eigenvalue of columns of length 1 that are independent
LEAST_FREE = 0.05  # what an annotation's leverage leaves over at least


@dataclass(frozen=True, slots=True)
class Regression:
    """Coefficients of the typical time.

    Attributes:
        values: (columns,), s; none is negative.
        unbounded: (columns,): where the search would go next if coefficients could be negative.
        influences: (images, columns): value less the value without the image, to first order.
    """

    values: Floats
    unbounded: Floats
    influences: Floats


def regress(design: Floats, seconds: Floats, image: Integers) -> Regression:
    """Fit the typical lead time.

    Args:
        design: (annotations, columns) independent columns of numbers of 0 or more; each row has a 1
            in one of the columns of annotators.
        seconds: (annotations,), above 0.
        image: (annotations,) number of each annotation's image, 0 or more.
    """
    start = np.full(design.shape[1], np.median(seconds / design.sum(axis=1)))
    values = _search(design, seconds, start, math.inf)
    threshold = math.inf
    for _ in range(2):
        residuals = np.log(seconds / (design @ values))
        scale = float(np.median(np.abs(residuals - np.median(residuals)))) / NORMAL_MEDIAN
        threshold = TUNING * scale if scale > CLOSE else math.inf
        values = _search(design, seconds, values, threshold)
    return _with_influences(design, seconds, image, values, threshold)


def _search(design: Floats, seconds: Floats, values: Floats, threshold: float) -> Floats:
    """Return the minimum that Gauss-Newton steps within θ >= 0 lead to.

    Where log μ is replaced by its tangent, each step is a non-negative least squares problem.
    """
    loss = _loss(design, seconds, values, threshold)
    for _ in range(MOST_STEPS):
        typical = design @ values
        residuals = np.log(seconds / typical)
        weights = _weights(residuals, threshold)
        step = _nonnegative(design / typical[:, None], 1 + residuals, weights) - values
        length = 1.0
        while (lower := _loss(design, seconds, values + length * step, threshold)) > loss:
            length /= 2
            if length < SHORTEST_STEP:
                return values
        values, loss = values + length * step, lower
        if np.max(np.abs(design @ step) / typical) < CLOSE:
            break
    return values


def _weights(residuals: Floats, threshold: float) -> Floats:
    """Return Huber's ψ(r) / r."""
    size = np.abs(residuals)
    return np.asarray(threshold / np.maximum(size, threshold) if threshold < math.inf else size**0)


def _loss(design: Floats, seconds: Floats, values: Floats, threshold: float) -> float:
    """Return the sum of Huber's ρ, infinite where a typical time would not be above 0."""
    typical = design @ values
    if (typical <= 0).any():
        return math.inf
    size = np.abs(np.log(seconds / typical))
    inside = np.minimum(size, threshold)
    return float((inside * (size - inside / 2)).sum())


def _nonnegative(columns: Floats, response: Floats, weights: Floats) -> Floats:
    """Return the non-negative coefficients of weighted least squares.

    The problem is reduced to a square one first, so its size does not depend on the annotations.
    """
    from scipy.optimize import nnls  # the web process starts without SciPy

    weighted = columns * weights[:, None]
    length = np.sqrt((columns * weighted).sum(axis=0))
    upper = np.linalg.cholesky(columns.T @ weighted / np.outer(length, length)).T
    right = np.linalg.solve(upper.T, weighted.T @ response / length)
    return np.asarray(nnls(upper, right)[0] / length, np.float64)


def _with_influences(
    design: Floats, seconds: Floats, image: Integers, values: Floats, threshold: float
) -> Regression:
    typical = design @ values
    residuals = np.log(seconds / typical)
    columns = design / typical[:, None]
    inverse = np.linalg.inv(columns.T @ columns)
    effects = columns @ inverse
    free = np.maximum(1 - (effects * columns).sum(axis=1), LEAST_FREE)
    slope = float(np.mean(np.abs(residuals) <= threshold))  # mean of ψ'
    pull = effects * (np.clip(residuals, -threshold, threshold) / slope)[:, None]
    moves = [np.bincount(image, column / free)[np.bincount(image) > 0] for column in pull.T]
    return Regression(values, values + pull.sum(axis=0), np.array(moves, np.float64).T)


def independent(design: Floats) -> tuple[Flags, Flags]:
    """Find columns that can be fitted together.

    Returns:
        Which columns are kept: the later ones of those that depend on one another; and which have
        a coefficient that the others leave determined. Columns of 0 are neither.
    """
    length = np.sqrt((design**2).sum(axis=0))
    there = np.flatnonzero(length > 0)
    products = design[:, there].T @ design[:, there] / np.outer(length[there], length[there])
    kept: list[int] = []
    for place in range(len(there) - 1, -1, -1):
        both = [*kept, place]
        if np.linalg.eigvalsh(products[np.ix_(both, both)])[0] > DEPENDENT:
            kept = both
    eigenvalues, vectors = np.linalg.eigh(products)
    lost = vectors[:, eigenvalues <= DEPENDENT]
    fitted, determined = np.zeros(len(length), bool), np.zeros(len(length), bool)
    fitted[there[kept]] = True
    determined[there] = (lost**2).sum(axis=1) < math.sqrt(DEPENDENT)
    return fitted, determined
