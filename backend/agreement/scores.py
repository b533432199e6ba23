"""Confusion of labels, and reliability of scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.agreement.clustered import Estimate, share
from backend.agreement.columns import CODES, VerdictColumns
from backend.agreement.parameters import AgreementParameters
from backend.verdicts.judging import ACCEPTED, ADDED, DELETED


@dataclass(frozen=True, slots=True)
class ConfusionCell:
    """A pair of suggested and final label, and how often it occurred.

    Attributes:
        suggested: None for points that were added.
        final: None for points that were deleted.
    """

    suggested: str | None
    final: str | None
    count: int


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Suggestions of similar scores.

    Attributes:
        score, low_score, high_score: mean, lowest and highest.
        accepted: share that was left untouched.
    """

    score: float
    low_score: float
    high_score: float
    accepted: Estimate


def confusion(columns: VerdictColumns, parameters: AgreementParameters) -> list[ConfusionCell]:
    """Count the pairs of suggested and final labels, the most frequent first.

    Under a filter by label these are the pairs with that label on either side.
    """
    columns = columns.newest_states
    rows, width = columns.suggested | columns.final, len(columns.labels) + 1
    verdict = columns.verdict[rows]
    suggested = np.where(verdict == CODES[ADDED], -1, columns.suggested_label[rows]) + 1
    final = np.where(verdict == CODES[DELETED], -1, columns.final_label[rows]) + 1
    pairs, counts = np.unique(suggested * width + final, return_counts=True)
    names = [None, *columns.labels]
    order = np.argsort(-counts, kind="stable")[: parameters.most_labels_confused**2]
    return [
        ConfusionCell(names[pair // width], names[pair % width], count)
        for pair, count in zip(pairs[order].tolist(), counts[order].tolist(), strict=True)
    ]


def reliability(
    columns: VerdictColumns, parameters: AgreementParameters
) -> Sequence[ReliabilityBin]:
    """Compute how often suggestions were left untouched, by score, in bins of about equal size."""
    columns = columns.first_submissions
    rows = columns.suggested & np.isfinite(columns.score)
    score, accepted = columns.score[rows], columns.verdict[rows] == CODES[ACCEPTED]
    image = columns.image[columns.annotation[rows]]
    if len(score) == 0:
        return []
    most = min(parameters.score_bins, max(2, len(score) // parameters.fewest_in_a_bin))
    edges = np.unique(np.quantile(score, np.linspace(0, 1, most + 1)))
    inner = edges[1:-1]
    place = np.searchsorted(inner, score, side="right")
    members = [place == number for number in range(len(inner) + 1)]
    return [
        ReliabilityBin(
            score=float(score[inside].mean()),
            low_score=float(score[inside].min()),
            high_score=float(score[inside].max()),
            accepted=share(
                np.bincount(image[inside], accepted[inside]),
                np.bincount(image[inside]),
                parameters.limits,
            ),
        )
        for inside in members
        if inside.any()
    ]
