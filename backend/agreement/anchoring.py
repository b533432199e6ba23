"""Whether suggestions pull annotators: agreement where they were shown, and where withheld.

Projects and model versions differ, and suggestions are withheld only from some moment on. So both
groups are compared within strata, each a project and a model version, from the first withheld task
on; the differences are averaged with the withheld images as weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from backend.agreement.clustered import Estimate, geometric_seconds, log_times
from backend.agreement.columns import Flags, Floats, VerdictColumns
from backend.agreement.comparisons import Stratum, difference_stratified
from backend.agreement.group_figures import AnnotationFigures, LeadTime
from backend.agreement.groups import AnnotationTotals
from backend.agreement.limits import Limits
from backend.agreement.linearised import Linearised, linearise
from backend.agreement.parameters import AgreementParameters

StratumName = tuple[str, str]  # project and model version
Part = Callable[[VerdictColumns, Flags], Linearised | None]


@dataclass(frozen=True, slots=True)
class AnchoringSide:
    """Agreement of annotations with, or without, suggestions.

    Attributes:
        annotations: their number.
        precision, recall, f1: of suggestions against final points, by place alone.
        normalised_error: mean displacement over the longer side of the image.
    """

    annotations: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    normalised_error: Estimate
    lead_time: LeadTime

    @classmethod
    def of(cls, figures: AnnotationFigures) -> "AnchoringSide":
        """Take what is compared from all figures."""
        return cls(
            annotations=figures.annotations,
            precision=figures.agreement.precision,
            recall=figures.agreement.recall,
            f1=figures.agreement.f1,
            normalised_error=figures.agreement.normalised_error.image,
            lead_time=figures.lead_time,
        )


@dataclass(frozen=True, slots=True)
class Anchoring:
    """Agreement where suggestions were shown, and where they were withheld.

    Attributes:
        shown: those of the strata with withheld tasks, from the first of these on.
        withheld: all of them.
        difference: F1 where they were shown less F1 where they were withheld, within strata.
        seconds: geometric mean of the lead time, the same way.
        strata: number of projects and model versions with withheld tasks.
    """

    shown: AnchoringSide
    withheld: AnchoringSide
    difference: Estimate
    seconds: Estimate
    strata: int


def anchoring(
    shown: VerdictColumns,
    withheld: VerdictColumns,
    parameters: AgreementParameters,
    totals: AnnotationTotals | None = None,
) -> Anchoring:
    """Compare annotations made with and without suggestions, within strata.

    Args:
        totals: of `shown`; None to compute them.
    """
    since = first_withheld(withheld)
    compared = np.array(
        [
            each.stratum in since and each.updated_at >= since[each.stratum]
            for each in shown.annotations
        ],
        bool,
    )

    def difference(part: Part) -> Estimate:
        strata = [
            Stratum(part(shown, compared & _of(shown, name)), part(withheld, _of(withheld, name)))
            for name in since
        ]
        return difference_stratified(strata, parameters.limits)

    totals = totals or AnnotationTotals(shown, parameters)
    return Anchoring(
        shown=AnchoringSide.of(totals.of_some(compared)),
        withheld=AnchoringSide.of(AnnotationTotals(withheld, parameters).overall()),
        difference=difference(f1_by_image),
        seconds=difference(_seconds(parameters.limits)),
        strata=len(since),
    )


def first_withheld(withheld: VerdictColumns) -> Mapping[StratumName, datetime]:
    """Return when the first withheld task of each stratum was annotated."""
    found: dict[StratumName, datetime] = {}
    for each in withheld.annotations:
        found[each.stratum] = min(each.updated_at, found.get(each.stratum, each.updated_at))
    return found


def _of(columns: VerdictColumns, name: StratumName) -> Flags:
    return np.array([each.stratum == name for each in columns.annotations], bool)


def f1_by_image(columns: VerdictColumns, chosen: Flags) -> Linearised | None:
    """Return F1 of some annotations, linearised by image; None where they have no point."""
    columns = columns.newest_states
    rows = chosen[columns.annotation]
    image = columns.image[columns.annotation[rows]]
    hits = columns.suggested_hit[rows].astype(float) + columns.final_hit[rows]
    points = columns.suggested[rows].astype(float) + columns.final[rows]
    return linearise(np.bincount(image, hits), np.bincount(image, points))


def _seconds(limits: Limits) -> Part:
    """Return the geometric mean of lead times as a part of a stratum."""

    def geometric(columns: VerdictColumns, chosen: Flags) -> Linearised | None:
        seconds: Floats = np.array([each.lead_time for each in columns.annotations], np.float64)
        timed = chosen & columns.is_first
        found = log_times(seconds[timed], columns.image[timed], limits)
        return None if found is None else geometric_seconds(found)

    return geometric
