"""Tests for drift of the acceptance: how often they raise a false alarm, and find what is there."""

from collections.abc import Callable

import numpy as np

from backend.agreement.drift import Judged, change, trend
from backend.agreement.parameters import AgreementParameters
from studies.coverage.figure import (
    Drawn,
    Figure,
    constant,
    with_difference,
    without_difference,
)
from studies.coverage.world import World

ACCEPTANCE = 0.75  # before a change
CHANGED_AT = 0.6  # of the images in their order
FALLS = (0.1, 0.25)


def judged(world: World, fall: float, *, at_once: bool) -> Judged:
    """Return one annotation an image, in their order; acceptance falls evenly, or at once."""
    place = np.arange(world.images) / max(1, world.images - 1)
    part = (place >= CHANGED_AT).astype(np.float64) if at_once else place
    accepted, points = world.successes(ACCEPTANCE - fall * part)
    order = np.arange(world.images)
    return Judged(accepted.astype(np.float64), points.astype(np.float64), order, order)


def trend_p(world: World, fall: float) -> float | None:
    """Return the p-value of a trend."""
    return trend(judged(world, fall, at_once=False)).p


def change_p(world: World, fall: float) -> float | None:
    """Return the p-value of a change at any moment."""
    seed = int(world.random.integers(2**31))
    found, _ = change(judged(world, fall, at_once=True), seed, AgreementParameters().change_draws)
    return found.p


def tested(p: Callable[[World, float], float | None], fall: float) -> Callable[[World], Drawn]:
    """Return what tests worlds whose acceptance falls by so much."""
    said = with_difference if fall else without_difference
    return lambda world: said(p(world, fall))


def figure(kind: str, p: Callable[[World, float], float | None], fall: float) -> Figure:
    """Return the figure of false alarms, or of what is found of a fall."""
    name = f"{kind} of {100 * fall:g} points: found" if fall else f"no {kind}: none found"
    return Figure(name, constant(0.0), tested(p, fall), bound=not fall)


FIGURES = tuple(
    figure(kind, p, fall)
    for kind, p in (("trend", trend_p), ("change", change_p))
    for fall in (0.0, *FALLS)
)
