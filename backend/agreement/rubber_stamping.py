"""Annotators who submit suggestions unchanged faster than anybody can look at them.

A flag is a reason to look, no verdict on a person: nobody is left out of any figure. The headline
is given with everybody, and beside it without those who are flagged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.agreement.clustered import Estimate, share
from backend.agreement.columns import Flags, VerdictColumns
from backend.agreement.group_figures import AnnotationFigures
from backend.agreement.groups import AnnotationTotals
from backend.agreement.parameters import AgreementParameters
from backend.agreement.submissions import Submissions


@dataclass(frozen=True, slots=True)
class AnnotatorHaste:
    """How often an annotator submitted all suggestions unchanged, and faster than one can look.

    Attributes:
        hasty: share of the annotations of known time.
        others: that share of everybody else; None where there is nobody else.
        flagged: whether the interval of `hasty` lies above `others`, or above one hasty annotation
            of the others where they have none.
    """

    annotator: str
    hasty: Estimate
    others: float | None
    flagged: bool


@dataclass(frozen=True, slots=True)
class Headline:
    """The headline figures of some annotations."""

    acceptance: Estimate
    f1: Estimate


@dataclass(frozen=True, slots=True)
class RubberStamping:
    """Every annotator's haste, and the headline with and without those who are flagged.

    Attributes:
        annotators: the hastiest first.
        without: None where nobody is flagged.
    """

    annotators: Sequence[AnnotatorHaste]
    everybody: Headline
    without: Headline | None


def rubber_stamping(
    columns: VerdictColumns,
    parameters: AgreementParameters,
    totals: AnnotationTotals | None = None,
    submitted: Submissions | None = None,
) -> RubberStamping:
    """Find annotators whose share of hasty annotations lies above that of the others.

    Args:
        totals: of `columns`; None to compute them.
        submitted: of `columns`; None to compute them.
    """
    submitted = submitted or Submissions.of(columns, parameters)
    hasty, known, annotators = submitted.hasty, submitted.timed, submitted.annotator
    found = [
        _of_annotator(name, annotators == name, columns, hasty, known, parameters)
        for name in np.unique(annotators).tolist()
        if name
    ]
    found.sort(key=lambda each: (-(each.hasty.value or 0.0), each.annotator))
    flagged = [each.annotator for each in found if each.flagged]
    kept = ~np.isin(annotators, flagged)
    totals = totals or AnnotationTotals(columns, parameters)
    return RubberStamping(
        annotators=found[: parameters.most_groups],
        everybody=_headline(totals.overall()),
        without=_headline(totals.of_some(kept)) if flagged else None,
    )


def _of_annotator(
    name: str,
    own: Flags,
    columns: VerdictColumns,
    hasty: Flags,
    known: Flags,
    parameters: AgreementParameters,
) -> AnnotatorHaste:
    image, others = columns.image[own & known], known & ~own
    found = share(np.bincount(image, hasty[own & known]), np.bincount(image), parameters.limits)
    of_others = float(hasty[others].mean()) if others.any() else None
    # Others of whom nobody was hasty yet count with one hasty annotation, or a single one of this
    # annotator's would be enough for a flag.
    flagged = (
        found.n >= parameters.fewest_annotations_flagged
        and found.low is not None
        and of_others is not None
        and found.low > max(of_others, 1 / int(others.sum()))
    )
    return AnnotatorHaste(name, found, of_others, flagged)


def _headline(figures: AnnotationFigures) -> Headline:
    return Headline(figures.agreement.acceptance.untouched, figures.agreement.f1)
