"""What is drawn in one world, and which kinds of figures there are."""

from collections.abc import Callable
from dataclasses import dataclass

from backend.agreement.clustered import Estimate
from studies.coverage.world import World

Ends = tuple[float, float]

ALPHA = 0.05  # of the tests
FEWEST = 10  # images from which on coverage is promised


@dataclass(frozen=True, slots=True)
class Drawn:
    """Intervals of one world: ours, the textbook's with m - 1 degrees, and one without images.

    `held` is for a test instead of an interval: whether it says what it should, None without one.
    """

    estimate: Estimate | None = None
    textbook: Ends | None = None
    unclustered: Ends | None = None
    held: bool | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A kind of figure.

    Attributes:
        truth: what the interval should hold, from the ICC.
        draw: makes a world and its intervals.
        bound: whether coverage is promised for it.
        fewest: images from which on it is.
    """

    name: str
    truth: Callable[[float], float]
    draw: Callable[[World], Drawn]
    bound: bool = True
    fewest: int = FEWEST


def constant(value: float) -> Callable[[float], float]:
    """Return a truth that is the same at every ICC."""
    return lambda _: value


def without_difference(p: float | None) -> Drawn:
    """Return whether a test rightly finds nothing; of a test without a p-value, nothing."""
    return Drawn(held=None if p is None else p > ALPHA)


def with_difference(p: float | None) -> Drawn:
    """Return whether a test finds what is there."""
    return Drawn(held=None if p is None else p <= ALPHA)
