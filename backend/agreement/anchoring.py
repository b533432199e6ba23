"""Whether suggestions pull annotators: agreement where they were shown, and where withheld."""

from dataclasses import dataclass

import numpy as np

from backend.agreement.columns import Floats, VerdictColumns
from backend.agreement.group_figures import AnnotationFigures
from backend.agreement.groups import AnnotationTotals
from backend.agreement.intervals import NOTHING, Clusters, Estimate
from model.intervals import drawn_ratios, percentile_interval


@dataclass(frozen=True, slots=True)
class AnchoringSide:
    """Agreement of annotations with, or without, suggestions.

    Attributes:
        annotations: their number.
        precision, recall, f1: of suggestions against final points, by place alone.
        normalised_error: mean displacement over the longer side of the image.
        lead_time: mean, s.
    """

    annotations: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    normalised_error: Estimate
    lead_time: Estimate

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
        difference: F1 where they were shown less F1 where they were withheld.
    """

    shown: AnchoringSide
    withheld: AnchoringSide
    difference: Estimate


def anchoring(
    shown: VerdictColumns,
    shown_figures: AnnotationFigures,
    shown_clusters: Clusters,
    withheld: VerdictColumns,
) -> Anchoring:
    """Compare annotations made with and without suggestions.

    Args:
        shown_figures, shown_clusters: figures of `shown`, and the clusters that they rest on.
    """
    parameters = shown_clusters.parameters
    # A different seed, because the two groups are independent samples.
    clusters = Clusters.of(withheld.images, parameters, seed=parameters.seed + 1)
    sides = (
        AnchoringSide.of(shown_figures),
        AnchoringSide.of(AnnotationTotals(withheld, clusters).overall()),
    )
    drawn = _drawn_f1(shown, shown_clusters), _drawn_f1(withheld, clusters)
    return Anchoring(*sides, _difference(*sides, *drawn, clusters.ends))


def _drawn_f1(columns: VerdictColumns, clusters: Clusters) -> Floats | None:
    """Compute F1 in each bootstrap draw; None with too few images."""
    if columns.images < clusters.parameters.fewest_images:
        return None
    image, zero = columns.image[columns.annotation], np.zeros(len(columns.annotation), np.int64)
    hits = columns.suggested_hit.astype(float) + columns.final_hit.astype(float)
    points = columns.suggested.astype(float) + columns.final.astype(float)
    return drawn_ratios(
        clusters.times,
        clusters.sums(image, zero, 1, hits)[0],
        clusters.sums(image, zero, 1, points)[0],
    )


def _difference(
    shown: AnchoringSide,
    withheld: AnchoringSide,
    drawn_shown: Floats | None,
    drawn_withheld: Floats | None,
    ends: tuple[float, float],
) -> Estimate:
    if shown.f1.value is None or withheld.f1.value is None:
        return NOTHING
    low = high = None
    if drawn_shown is not None and drawn_withheld is not None:
        count = min(len(drawn_shown), len(drawn_withheld))
        low, high = percentile_interval(drawn_shown[:count] - drawn_withheld[:count], ends)
    return Estimate(shown.f1.value - withheld.f1.value, low, high, withheld.annotations)
