"""Means, paired differences and their bootstrap intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.intervals import percentile_interval, times_drawn

DRAWS = 10_000
ENDS = (0.025, 0.975)  # of a 95 % interval


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % percentile bootstrap interval over images."""

    mean: float
    low: float
    high: float


def bootstrap_means(
    values: NDArray[np.float64], *, draws: int = DRAWS, seed: int = 0
) -> NDArray[np.float64]:
    """Compute the mean of each of many samples drawn with replacement.

    Args:
        values: (images,) or (images, K); the same images are drawn for each of the K columns.

    Returns:
        (draws,) or (draws, K).

    Raises:
        ValueError: there are no values.
    """
    return np.asarray(times_drawn(len(values), draws, seed) @ values / len(values))


def interval_of(values: NDArray[np.float64], *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Compute the mean of the values (images,) with its 95 % percentile bootstrap interval.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    low, high = percentile_interval(bootstrap_means(values, draws=draws, seed=seed), ENDS)
    return Interval(float(np.mean(values)), low, high)


def difference(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Compute the mean of first - second, image by image, with its interval.

    Raises:
        ValueError: the two do not have the same shape.
    """
    if first.shape != second.shape:
        raise ValueError(f"expected values of the same images, got {first.shape}, {second.shape}")
    return interval_of(first - second, draws=draws, seed=seed)


def ratio_of_rates(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Compute mean(first) / mean(second) of the same images with its interval.

    The ratio is infinite or NaN where `second` is 0 for every image; the upper bound is infinite
    where `second` is 0 in enough of the draws.
    """
    both = np.stack([first, second], axis=1).astype(np.float64)
    means = bootstrap_means(both, draws=draws, seed=seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.divide(*both.mean(axis=0))
        # Draws that give 0 / 0 say nothing about the ratio and are left out.
        ratios = means[:, 0] / means[:, 1]
    ratios = ratios[~np.isnan(ratios)]
    if len(ratios) == 0:
        return Interval(float(mean), float("nan"), float("nan"))
    # Infinity cannot be interpolated with its neighbour, so the bounds are drawn values themselves.
    low = np.quantile(ratios, ENDS[0], method="lower")
    high = np.quantile(ratios, ENDS[1], method="higher")
    return Interval(float(mean), float(low), float(high))
