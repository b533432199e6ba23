"""Differences of two groups, and tests of several."""

import math
from collections.abc import Callable

from backend.agreement import clustered, comparisons
from backend.agreement.linearised import Linearised, linearise
from studies.coverage.figure import ALPHA, Drawn, Figure, constant, without_difference
from studies.coverage.world import World


def linearised(world: World, mean: float) -> Linearised:
    """Return a share with its variance."""
    found = linearise(*world.successes(mean))
    if found is None:
        raise ValueError("expected points in some image")
    return found


def independent(world: World) -> Drawn:
    """Return the difference of two groups with the same share."""
    first, second = linearised(world, 0.7), linearised(world, 0.7)
    return Drawn(comparisons.difference_independent(first, second))


def paired(world: World) -> Drawn:
    """Return the difference of two versions that find the same share in the same images."""
    points, chances = world.points(), world.chances(0.7)
    first, second = world.random.binomial(points, chances), world.random.binomial(points, chances)
    return Drawn(comparisons.difference_paired((first, points), (second, points)))


def stratified(world: World) -> Drawn:
    """Return log seconds of shown less withheld tasks in an easy and a hard stratum.

    The hard stratum has most of the withheld images; within a stratum shown tasks take 0.8 times
    as long. There are as many withheld images as the world has images.
    """
    strata = []
    for images, difficulty in ((world.images // 5, 1.0), (world.images - world.images // 5, 4.0)):
        groups = []
        for count, factor in ((2 * (world.images - images) + 2, 0.8), (images, 1.0)):
            part = World(world.random, count, world.correlation, world.sizes)
            seconds, image = part.seconds()
            groups.append(clustered.log_times(seconds * difficulty * factor, image))
        strata.append(comparisons.Stratum(*groups))
    return Drawn(comparisons.difference_stratified(strata))


def equal_groups(world: World) -> Drawn:
    """Test five equal annotators by their shares."""
    test = comparisons.compare_shares([linearised(world, 0.7) for _ in range(5)])
    return without_difference(test.p)


def equal_pairs(mean: float) -> Callable[[World], Drawn]:
    """Return what compares every two of five equal annotators."""

    def draw(world: World) -> Drawn:
        found = comparisons.compare_pairs([linearised(world, mean) for _ in range(5)])
        return Drawn(held=all(pair.p > ALPHA for pair in found))

    return draw


FIGURES = (
    Figure("difference of two groups", constant(0.0), independent),
    Figure("paired difference", constant(0.0), paired),
    Figure("stratified difference of log seconds", constant(math.log(0.8)), stratified),
    Figure("test of five equal shares", constant(0.0), equal_groups),
    # Holm's p-values hold for any groups, and so are cautious for equal ones.
    *(
        Figure(f"pairs of five equal shares {mean}", constant(0.0), equal_pairs(mean), bound=False)
        for mean in (0.7, 0.95)
    ),
)
