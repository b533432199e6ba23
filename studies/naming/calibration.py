"""Whether a score of 0.7 is right seven times in ten, and how well hidden landmarks are told."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studies.naming.accuracy import distances
from studies.naming.sequence import TOLERANCE, Suggested

BINS = 10


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores and what came of them, one a suggestion.

    Attributes:
        score: probability that the label is visible and the point within the tolerance.
        right: whether it was.
        visible_probability, visible: the same for the label being visible.
    """

    score: NDArray[np.float64]
    right: NDArray[np.bool_]
    visible_probability: NDArray[np.float64]
    visible: NDArray[np.bool_]


def scored(suggested: Sequence[Suggested]) -> Scored:
    """Collect the scores of all suggestions, shown or not."""
    away = np.concatenate([distances(each.case, each.points) for each in suggested])
    points = [point for each in suggested for point in each.points]
    return Scored(
        np.array([point.score for point in points]),
        np.asarray(away <= TOLERANCE),
        np.array([point.visible_probability for point in points]),
        np.isfinite(away),
    )


@dataclass(frozen=True, slots=True)
class Bin:
    """Suggestions of similar score: their mean score, the share that was right, their number."""

    score: float
    right: float
    count: int


def bins(score: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Bin]:
    """Return ten bins of equal count, by score."""
    order = np.argsort(score, kind="stable")
    return [
        Bin(float(score[part].mean()), float(right[part].mean()), len(part))
        for part in np.array_split(order, BINS)
        if len(part)
    ]


def calibration_error(score: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error over ten bins of equal count.

    Source: Naeini et al., "Obtaining well calibrated probabilities", AAAI 2015; equal counts after
    Nixon et al., "Measuring calibration in deep learning", CVPR workshops 2019.
    """
    found = bins(score, right)
    total = sum(each.count for each in found)
    return sum(each.count * abs(each.score - each.right) for each in found) / total


def ranking(score: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve; ties count half. NaN if all are true or none is."""
    from scipy.stats import rankdata

    true, false = int(truth.sum()), int((~truth).sum())
    if not true or not false:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[truth].sum() - true * (true + 1) / 2) / (true * false))
