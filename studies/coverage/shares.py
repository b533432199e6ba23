"""Shares and F1, beside the textbook's intervals."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from backend.agreement import clustered
from backend.agreement.limits import LIMITS
from studies.coverage.figure import Drawn, Ends, Figure, constant
from studies.coverage.world import POINTS, World

Numbers = NDArray[np.float64] | NDArray[np.int64]


def textbook_share(successes: Numbers, trials: Numbers) -> Ends:
    """Return Wilson's interval with n = min(N, p(1 - p)/v)·(z/t)², v linearised, m - 1 degrees."""
    images, points = len(trials), float(trials.sum())
    value = float(successes.sum()) / points
    variance = images / (images - 1) * float(((successes - value * trials) ** 2).sum()) / points**2
    most = points
    if variance > 1e-15:
        factor = (LIMITS.z / LIMITS.t(images - 1)) ** 2
        most = min(points, value * (1 - value) / variance) * factor
    return clustered.wilson(value, most, LIMITS.z)


def textbook_ratio(top: Numbers, bottom: Numbers) -> Ends:
    """Return r ± t·√v, v linearised, m - 1 degrees."""
    images, total = len(bottom), float(bottom.sum())
    value = float(top.sum()) / total
    variance = images / (images - 1) * float(((top - value * bottom) ** 2).sum()) / total**2
    half = LIMITS.t(images - 1) * math.sqrt(variance)
    return value - half, value + half


def share_of(mean: float) -> Callable[[World], Drawn]:
    """Return what draws a share."""

    def draw(world: World) -> Drawn:
        won, tried = world.successes(mean)
        plain = clustered.wilson(won.sum() / tried.sum(), float(tried.sum()), LIMITS.z)
        return Drawn(clustered.share(won, tried), textbook_share(won, tried), plain)

    return draw


def f1_of(mean: float) -> Callable[[World], Drawn]:
    """Return what draws an F1."""

    def draw(world: World) -> Drawn:
        top, bottom = world.matches(mean)
        return Drawn(clustered.ratio(top, bottom, scale="share"), textbook_ratio(top, bottom))

    return draw


def f1_truth(mean: float) -> float:
    """Return the F1 of all images there are."""
    return 2 * POINTS * mean / (POINTS * (1 + mean + 0.7 * (1 - mean)) + 0.3)


# Of extreme shares in fewer images counts alone are printed.
EXTREME = Figure("share 0.95", constant(0.95), share_of(0.95), fewest=LIMITS.fewest_images_extreme)
FIGURES = (
    *(Figure(f"share {mean}", constant(mean), share_of(mean)) for mean in (0.3, 0.5, 0.7, 0.9)),
    EXTREME,
    *(Figure(f"F1 at {mean}", constant(f1_truth(mean)), f1_of(mean)) for mean in (0.5, 0.7, 0.9)),
)
