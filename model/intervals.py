"""The percentile bootstrap over images, or over clusters of images.

A figure is a function of sums over images, so drawing images with replacement only takes how often
each image is drawn, not the drawn values themselves.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@lru_cache(maxsize=4)
def times_drawn(count: int, draws: int, seed: int) -> Floats:
    """Count how often each of `count` units is drawn when `count` of them are drawn, many times.

    Cached, because the figures of one report share their draws.

    Returns:
        (draws, count), read-only; each row sums to `count`.

    Raises:
        ValueError: there are no units to draw from.

    >>> times_drawn(3, 2, seed=0).sum(axis=1).tolist()
    [3.0, 3.0]
    """
    if count < 1:
        raise ValueError(f"expected at least one image to draw from, got {count}")
    even = np.full(count, 1 / count)
    times = np.random.default_rng(seed).multinomial(count, even, draws).astype(np.float64)
    times.flags.writeable = False
    return times


def percentile_interval(drawn: Floats, ends: tuple[float, float]) -> tuple[float, float]:
    """Return the two quantiles of the drawn figures that bound the interval.

    Args:
        drawn: the figure in each draw.
        ends: shares of draws below the lower and below the upper bound, such as 0.025 and 0.975.

    >>> percentile_interval(np.arange(101.0), (0.25, 0.75))
    (25.0, 75.0)
    """
    low, high = np.quantile(drawn, ends)
    return float(low), float(high)
