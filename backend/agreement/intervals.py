"""Intervals: Wilson's for shares, a bootstrap over images for everything else."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
DRAWS = 1000
SEED = 20190501  # any number, the same for every report
# Images are drawn in random groups where there are more: the interval stays as wide, for less work.
MOST_CLUSTERS = 400
# With fewer images, how they differ cannot be told, and there is no interval.
FEWEST_IMAGES = 5
MOST_BINS = 128

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval; `n` is what it rests on.

    `value` is None where there is nothing to tell it from, the interval where images are too few.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def as_json(self) -> dict[str, float | int | None]:
        """The same as a dictionary."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


NOTHING = Estimate(None, None, None, 0)


def share(successes: float, trials: float) -> Estimate:
    """A share with Wilson's interval.

    SciPy's `binomtest` gives the same interval, at the price of a test that nobody asked for: a
    report has a thousand of these.

    Source: Wilson, Journal of the American Statistical Association 22, 1927.
    """
    if trials == 0:
        return NOTHING
    k, n, z = round(successes), round(trials), NormalDist().inv_cdf((1 + LEVEL) / 2)
    p = k / n
    middle = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    whole = 1 + z**2 / n
    return Estimate(p, max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole), n)


@dataclass(frozen=True)
class Clusters:
    """Draws of images with replacement.

    Attributes:
        of_image: image → the cluster that it is drawn with.
        count: of clusters.
        images: how many images there are.
    """

    of_image: NDArray[np.int64]
    count: int
    images: int
    draws: int = DRAWS
    seed: int = SEED

    @classmethod
    def of(cls, images: int, *, draws: int = DRAWS, seed: int = SEED) -> "Clusters":
        """Every image by itself, or in `MOST_CLUSTERS` random groups of equal size."""
        count = min(images, MOST_CLUSTERS)
        order = np.random.default_rng(seed).permutation(images)
        of_image = order % count if count else order
        return cls(of_image.astype(np.int64), count, images, draws, seed)

    @cached_property
    def times(self) -> Array:
        """(draws, count): how often each cluster is drawn."""
        generator = np.random.default_rng(self.seed + 1)
        drawn = generator.multinomial(self.count, np.full(self.count, 1 / self.count), self.draws)
        return np.asarray(drawn, np.float64)

    def sums(
        self, image: NDArray[np.int64], group: NDArray[np.int64], groups: int, values: Array | None
    ) -> Array:
        """(groups, count): sums of values, or numbers of rows, of each group in each cluster."""
        place = group * self.count + self.of_image[image]
        total = np.bincount(place, values, minlength=groups * self.count)
        return np.asarray(total.reshape(groups, self.count), np.float64)

    def ratio(self, numerator: Array, denominator: Array, images: int, n: float) -> Estimate:
        """Sum of numerators over sum of denominators, each (count,), drawn together.

        Args:
            images: how many images contribute.
            n: what the figure rests on.
        """
        return self.ratio_of(
            lambda times: (times @ numerator, times @ denominator), images=images, n=n
        )

    def ratio_of(
        self, parts: Callable[[Array], tuple[Array, Array]], *, images: int, n: float
    ) -> Estimate:
        """A figure that is a ratio of sums over clusters, `parts(times)`."""
        top, bottom = parts(np.ones((1, self.count)))
        if bottom[0] == 0:
            return NOTHING
        value = float(top[0] / bottom[0])
        if images < FEWEST_IMAGES:
            return Estimate(value, None, None, round(n))
        top, bottom = parts(self.times)
        drawn = top[bottom > 0] / bottom[bottom > 0]
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Estimate(value, float(low), float(high), round(n))

    def quantiles(
        self, values: Array, image: NDArray[np.int64], shares: Sequence[float]
    ) -> list[Estimate]:
        """Quantiles of values, each of an image.

        With more than `MOST_BINS` different values the ends of the intervals are exact to the
        nearest of so many of them.
        """
        if len(values) == 0:
            return [NOTHING] * len(shares)
        found = np.quantile(values, shares).tolist()
        if np.count_nonzero(np.bincount(image)) < FEWEST_IMAGES:
            return [Estimate(value, None, None, len(values)) for value in found]
        ranks = np.linspace(0, len(values) - 1, MOST_BINS).round().astype(np.int64)
        edges = np.unique(np.sort(values)[ranks])
        counts = self.sums(image, np.searchsorted(edges, values), len(edges), None)
        below = np.cumsum(self.times @ counts.T, axis=1)
        below = below[below[:, -1] > 0]
        estimates = []
        for value, q in zip(found, shares, strict=True):
            drawn = edges[(below < q * below[:, -1:]).sum(axis=1)]
            low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            estimates.append(Estimate(value, float(low), float(high), len(values)))
        return estimates
