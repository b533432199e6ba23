"""Means and quantiles of distances, beside the textbook's intervals."""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from backend.agreement import clustered
from studies.coverage.figure import Drawn, Figure, constant
from studies.coverage.shares import textbook_ratio
from studies.coverage.world import SIGMA, World

LOGNORMAL_MEAN = math.exp(SIGMA**2 / 2)


def mean_of(zeros: float) -> Callable[[World], Drawn]:
    """Return what draws a mean distance."""

    def draw(world: World) -> Drawn:
        distances, image = world.distances(zeros)
        top, bottom = np.bincount(image, distances), np.bincount(image)
        return Drawn(clustered.ratio(top, bottom, scale="positive"), textbook_ratio(top, bottom))

    return draw


def quantile_of(zeros: float, q: float) -> Callable[[World], Drawn]:
    """Return what draws a quantile of distances."""
    return lambda world: Drawn(clustered.quantile(*world.distances(zeros), q))


def quantile_truth(zeros: float, q: float) -> float:
    """Return the quantile of all distances there are."""
    if q <= zeros:
        return 0.0
    return math.exp(SIGMA * NormalDist().inv_cdf((q - zeros) / (1 - zeros)))


FIGURES = (
    Figure("mean distance (NME)", constant(LOGNORMAL_MEAN), mean_of(0)),
    Figure("mean distance, 60 % exactly 0", constant(0.4 * LOGNORMAL_MEAN), mean_of(0.6)),
    Figure("median distance", constant(quantile_truth(0, 0.5)), quantile_of(0, 0.5)),
    Figure("median, 30 % exactly 0", constant(quantile_truth(0.3, 0.5)), quantile_of(0.3, 0.5)),
    Figure("median, 60 % exactly 0", constant(0.0), quantile_of(0.6, 0.5), bound=False),
    Figure("90th percentile", constant(quantile_truth(0, 0.9)), quantile_of(0, 0.9)),
    Figure("90th, 60 % exactly 0", constant(quantile_truth(0.6, 0.9)), quantile_of(0.6, 0.9)),
)
