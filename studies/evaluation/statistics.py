"""Means, paired differences and their bootstrap intervals."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and where it would lie, were the images drawn anew: the middle 95 %."""

    mean: float
    low: float
    high: float


def bootstrap_means(
    values: NDArray[np.float64], *, draws: int = DRAWS, seed: int = 0
) -> NDArray[np.float64]:
    """Mean of each of many samples drawn with replacement.

    Args:
        values: (images,) or (images, K); of the K columns the same images are drawn.

    Returns:
        (draws,) or (draws, K).

    Raises:
        ValueError: there are no values.
    """
    if len(values) == 0:
        raise ValueError("expected at least one image to draw from, got none")
    return np.asarray(_times_drawn(len(values), draws, seed) @ values / len(values))


@lru_cache(maxsize=4)
def _times_drawn(count: int, draws: int, seed: int) -> NDArray[np.float64]:
    """How often each image is drawn, (draws, count): cheaper than the drawn values themselves.

    Kept, as every metric of every pair of methods asks for the same.
    """
    even = np.full(count, 1 / count)
    return np.random.default_rng(seed).multinomial(count, even, draws).astype(np.float64)


def interval_of(values: NDArray[np.float64], *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Mean of the values (images,) with its 95 % percentile bootstrap interval.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    low, high = np.quantile(bootstrap_means(values, draws=draws, seed=seed), [0.025, 0.975])
    return Interval(float(np.mean(values)), float(low), float(high))


def difference(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Mean of first - second, image by image, with its interval.

    Raises:
        ValueError: the two are not of the same images.
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
    """mean(first) / mean(second) of the same images with its interval.

    Not a number where `second` is 0 throughout; a bound is infinite where it is 0 in the draw.
    """
    both = np.stack([first, second], axis=1).astype(np.float64)
    means = bootstrap_means(both, draws=draws, seed=seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.divide(*both.mean(axis=0))
        # 0 / 0 says nothing about the ratio: such draws are left out.
        ratios = means[:, 0] / means[:, 1]
    ratios = ratios[~np.isnan(ratios)]
    if len(ratios) == 0:
        return Interval(float(mean), float("nan"), float("nan"))
    # Infinite ratios have no mean with a neighbour, so a drawn value itself is taken.
    low = np.quantile(ratios, 0.025, method="lower")
    high = np.quantile(ratios, 0.975, method="higher")
    return Interval(float(mean), float(low), float(high))
