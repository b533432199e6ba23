"""Figures with intervals: Wilson's for shares, a bootstrap over images for everything else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

from backend.agreement.columns import Floats, Integers
from backend.agreement.parameters import AgreementParameters
from model.intervals import drawn_ratios, percentile_interval, random_clusters, times_drawn


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its interval.

    Attributes:
        value: None where there is nothing to compute it from.
        low, high: None where there are too few images.
        n: number of things that the figure rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


NOTHING = Estimate(None, None, None, 0)


def wilson_share(successes: float, trials: float, level: float) -> Estimate:
    """Compute a share with Wilson's interval.

    SciPy's `binomtest` gives the same interval but also runs a test, which a report with a thousand
    shares has no time for.

    Source: Wilson, Journal of the American Statistical Association 22, 1927.

    >>> found = wilson_share(8, 10, 0.95)
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.8, 0.49, 0.943)
    """
    if trials == 0:
        return NOTHING
    k, n, z = round(successes), round(trials), NormalDist().inv_cdf((1 + level) / 2)
    p = k / n
    middle = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    whole = 1 + z**2 / n
    return Estimate(p, max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole), n)


@dataclass(frozen=True)
class Clusters:
    """Images in the clusters that the bootstrap draws with replacement.

    Attributes:
        of_image: (images,): the cluster of each image.
        count: number of clusters.
        seed: of the draws.
    """

    of_image: Integers
    count: int
    parameters: AgreementParameters
    seed: int

    @classmethod
    def of(
        cls, images: int, parameters: AgreementParameters, *, seed: int | None = None
    ) -> "Clusters":
        """Make each image a cluster of its own, or group them where there are too many.

        Args:
            seed: None for that of the parameters.
        """
        seed = parameters.seed if seed is None else seed
        of_image = random_clusters(images, parameters.most_clusters, seed)
        return cls(of_image, min(images, parameters.most_clusters), parameters, seed)

    @cached_property
    def times(self) -> Floats:
        """(draws, clusters): how often each cluster is drawn."""
        return times_drawn(self.count, self.parameters.draws, self.seed + 1)

    @property
    def ends(self) -> tuple[float, float]:
        """Shares of the draws below the lower and below the upper end of an interval."""
        level = self.parameters.level
        return (1 - level) / 2, (1 + level) / 2

    def share(self, successes: float, trials: float) -> Estimate:
        """Compute a share with Wilson's interval at the level of the report."""
        return wilson_share(successes, trials, self.parameters.level)

    def sums(self, image: Integers, group: Integers, groups: int, values: Floats | None) -> Floats:
        """Sum values, or count rows where there are none, by group and cluster.

        Args:
            image, group: of each row.
            values: of each row; None counts rows.

        Returns:
            (groups, clusters).
        """
        place = group * self.count + self.of_image[image]
        total = np.bincount(place, values, minlength=groups * self.count)
        return np.asarray(total.reshape(groups, self.count), np.float64)

    def ratio(self, numerator: Floats, denominator: Floats, images: int, n: float) -> Estimate:
        """Compute the ratio of two sums over clusters, with its bootstrap interval.

        Args:
            numerator, denominator: (clusters,).
            images: number of images that contribute.
            n: number of things that the figure rests on.
        """
        once = np.ones((1, self.count))
        found = drawn_ratios(once, numerator, denominator)
        if len(found) == 0:
            return NOTHING
        value = float(found[0])
        if images < self.parameters.fewest_images:
            return Estimate(value, None, None, round(n))
        drawn = drawn_ratios(self.times, numerator, denominator)
        return Estimate(value, *percentile_interval(drawn, self.ends), round(n))

    def mean(self, values: Floats, image: Integers) -> Estimate:
        """Compute the mean of values, each of an image, with its bootstrap interval."""
        if len(values) == 0:
            return NOTHING
        group = np.zeros(len(values), np.int64)
        top = self.sums(image, group, 1, values)[0]
        bottom = self.sums(image, group, 1, None)[0]
        return self.ratio(top, bottom, len(np.unique(image)), len(values))

    def quantiles(self, values: Floats, image: Integers, shares: Sequence[float]) -> list[Estimate]:
        """Compute quantiles of values, each of an image, with bootstrap intervals.

        With more different values than `most_bins`, the ends of the intervals are rounded to the
        nearest of that many of them.
        """
        if len(values) == 0:
            return [NOTHING] * len(shares)
        found = np.quantile(values, shares).tolist()
        if np.count_nonzero(np.bincount(image)) < self.parameters.fewest_images:
            return [Estimate(value, None, None, len(values)) for value in found]
        ranks = np.linspace(0, len(values) - 1, self.parameters.most_bins).round().astype(np.int64)
        edges = np.unique(np.sort(values)[ranks])
        counts = self.sums(image, np.searchsorted(edges, values), len(edges), None)
        below = np.cumsum(self.times @ counts.T, axis=1)
        below = below[below[:, -1] > 0]
        estimates = []
        for value, q in zip(found, shares, strict=True):
            drawn = edges[(below < q * below[:, -1:]).sum(axis=1)]
            low, high = percentile_interval(drawn, self.ends)
            estimates.append(Estimate(value, low, high, len(values)))
        return estimates
