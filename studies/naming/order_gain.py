"""What an order gains over a random one, with intervals over paired draws."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studies.naming.ordering import RANDOM, Progress

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over draws with its 95 % interval (Student's t); NaN bounds for a single draw."""

    mean: float
    low: float
    high: float


def estimate(values: Floats) -> Estimate:
    """Return the mean of (D,) values, one a draw, and its interval."""
    from scipy.stats import t

    count, mean = len(values), float(values.mean())
    if count < 2:
        return Estimate(mean, float("nan"), float("nan"))
    half = float(t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count))
    return Estimate(mean, mean - half, mean + half)


@dataclass(frozen=True, eq=False)
class Curves:
    """Figures of one rule.

    Attributes:
        counts: (C,) images annotated.
        share: (D, C) landmarks found, %.
        seconds: (D, C) time of annotation so far.
    """

    counts: Floats
    share: Floats
    seconds: Floats


def curves(rows: Sequence[Progress], rule: str, radius: float, draws: int) -> Curves:
    """Return the figures of the first draws of a rule, all groups of a draw together."""
    counts = sorted({row.annotated for row in rows})
    shares, seconds = np.zeros((draws, len(counts))), np.zeros((draws, len(counts)))
    for draw in range(draws):
        for place, count in enumerate(counts):
            of = [row for row in rows if (row.rule, row.draw, row.annotated) == (rule, draw, count)]
            found = sum(row.within[radius] for row in of)
            shares[draw, place] = 100 * found / sum(row.visible for row in of)
            seconds[draw, place] = sum(row.seconds for row in of)
    return Curves(np.array(counts, np.float64), shares, seconds)


def draws_of(rows: Sequence[Progress], rule: str) -> int:
    """Return how many draws a rule has."""
    return len({row.draw for row in rows if row.rule == rule})


@dataclass(frozen=True, eq=False)
class Gain:
    """A rule against the random order of the same draws.

    Attributes:
        share: percentage points more, one estimate for each count.
        mean_share: their mean over the counts.
        fewer_images: images that are saved at the same share, %; negative if more are needed.
        seconds: change of the time of annotation up to the last count, %.
    """

    rule: str
    draws: int
    share: Sequence[Estimate]
    mean_share: Estimate
    fewer_images: Estimate
    seconds: Estimate


def gain(rows: Sequence[Progress], rule: str, radius: float) -> Gain:
    """Compare a rule with the random order.

    The random order's share grows about linearly with the logarithm of the number of images. With
    its slope b over all draws, a mean gain of g points is worth a factor exp(-g / b) of the images.
    The interval is that of the gain; b is taken as known. NaN unless b is positive.
    """
    draws = draws_of(rows, rule)
    ours, random = (curves(rows, name, radius, draws) for name in (rule, RANDOM))
    more = ours.share - random.share
    mean_share = estimate(more.mean(axis=1))
    all_random = curves(rows, RANDOM, radius, draws_of(rows, RANDOM))
    slope = float(np.polyfit(np.log(all_random.counts), all_random.share.mean(axis=0), 1)[0])
    if slope < 1e-9:
        slope = float("nan")  # the random order learns nothing that images could be worth
    change = 100 * (ours.seconds[:, -1] / random.seconds[:, -1] - 1)
    return Gain(
        rule,
        draws,
        [estimate(column) for column in more.T],
        mean_share,
        Estimate(
            *(
                100 * (1 - float(np.exp(-each / slope)))
                for each in (mean_share.mean, mean_share.low, mean_share.high)
            )
        ),
        estimate(change),
    )
