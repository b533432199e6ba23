"""Lead times of annotations: geometric means and medians."""

import math

from backend.agreement import clustered
from studies.coverage.figure import Drawn, Figure, constant
from studies.coverage.world import SHAPE


def gamma_truth(correlation: float) -> float:
    """Return the geometric mean of all gamma times there are."""
    from scipy.special import digamma

    effect = digamma(1 / correlation) + math.log(correlation) if correlation else 0.0
    return 5.0 * math.exp(float(digamma(SHAPE) + effect))


FIGURES = (
    Figure(
        "geometric mean of lognormal seconds",
        constant(10.0),
        lambda world: Drawn(clustered.geometric_mean(*world.seconds())),
    ),
    Figure(
        "geometric mean of gamma seconds",
        gamma_truth,
        lambda world: Drawn(clustered.geometric_mean(*world.gamma_seconds())),
    ),
    Figure(
        "median of lognormal seconds",
        constant(10.0),
        lambda world: Drawn(clustered.median_time(*world.seconds())),
    ),
)
