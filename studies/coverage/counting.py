"""Count in how many worlds an interval holds the truth, or a test says what it should."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from backend.agreement.clustered import Estimate
from studies.coverage.figure import Ends, Figure
from studies.coverage.world import SIZES, World

IMAGES = (5, 10, 20, 50, 200)
CORRELATIONS = (0.0, 0.1, 0.2, 0.4)
# Coverage that is promised, as a share.
WANTED = (0.92, 0.98)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often intervals hold the truth in one kind of world, and their mean width.

    Attributes:
        given: share of worlds that have an interval.
        covered, error: share of these that hold the truth, with its standard error.
        width: nan for a test.
        textbook, unclustered: the same for those intervals, in the worlds that have ours; nan where
            there is none.
    """

    figure: Figure
    sizes: str
    correlation: float
    images: int
    given: float
    covered: float
    error: float
    width: float = math.nan
    textbook: float = math.nan
    unclustered: float = math.nan

    @property
    def is_promised(self) -> bool:
        """Whether the coverage should lie within `WANTED`."""
        return self.figure.bound and self.images >= self.figure.fewest

    @property
    def is_outside(self) -> bool:
        """Whether a coverage that is promised misses `WANTED` by more than twice its error."""
        low, high = WANTED
        tolerance = 2 * self.error
        inside = low - tolerance <= self.covered <= high + tolerance
        return self.is_promised and not math.isnan(self.covered) and not inside


def cover(
    figure: Figure, sizes: str, correlation: float, images: int, worlds: int, seed: int
) -> Coverage:
    """Draw worlds of one kind and count how many intervals hold the truth."""
    random = np.random.default_rng([seed, images, round(100 * correlation), SIZES.index(sizes)])
    truth = figure.truth(correlation)
    drawn = [figure.draw(World(random, images, correlation, sizes)) for _ in range(worlds)]
    held = [each.held for each in drawn if each.held is not None]
    given = [each for each in drawn if ends_of(each.estimate)]
    ours = [ends for each in given if (ends := ends_of(each.estimate))]
    held += [holds(ends, truth) for ends in ours]
    widths = [high - low for low, high in ours]
    covered = float(np.mean(held)) if held else math.nan
    return Coverage(
        figure,
        sizes,
        correlation,
        images,
        len(held) / worlds,
        covered,
        math.sqrt(covered * (1 - covered) / max(1, len(held))),
        float(np.mean(widths)) if widths else math.nan,
        share_that_holds([each.textbook for each in given], truth),
        share_that_holds([each.unclustered for each in given], truth),
    )


def ends_of(found: Estimate | None) -> Ends | None:
    """Return the interval of an estimate, None without one."""
    if found is None or found.low is None or found.high is None:
        return None
    return found.low, found.high


def holds(ends: Ends, truth: float) -> bool:
    """Return whether an interval holds the truth."""
    return ends[0] <= truth <= ends[1]


def share_that_holds(intervals: Sequence[Ends | None], truth: float) -> float:
    """Return the share of intervals that hold the truth, nan without any."""
    held = [holds(ends, truth) for ends in intervals if ends]
    return float(np.mean(held)) if held else math.nan


def study(figures: Sequence[Figure], worlds: int, seed: int) -> Iterator[Coverage]:
    """Yield the coverage of every figure in every kind of world."""
    for figure in figures:
        for sizes in SIZES:
            for correlation in CORRELATIONS:
                for images in IMAGES:
                    yield cover(figure, sizes, correlation, images, worlds, seed)
