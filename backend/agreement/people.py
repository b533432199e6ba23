"""Annotators compared with one another, and with the detector on the same tasks.

Two annotators who both started from the same suggestions agree because of them. So only tasks whose
suggestions were withheld tell how far people agree, which is a ceiling for the detector.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.agreement.clustered import Estimate, ratio
from backend.agreement.columns import Floats, Integers
from backend.agreement.label_agreement import alpha
from backend.agreement.meetings import Meeting, Meetings, images_of_tasks, joined, meetings
from backend.agreement.parameters import AgreementParameters
from backend.agreement.table import VerdictTable

SAW_SUGGESTIONS = "both saw the suggestions: no ceiling"
ONE_ANNOTATOR = "no task has several annotators"


@dataclass(frozen=True, slots=True)
class PeerAgreement:
    """Agreement of two parties.

    Attributes:
        f1: of their points, paired one to one; mean over tasks.
        distance_px: mean distance of paired points.
        normalised_error: that distance over the longer side of the object, else of the image.
        label_alpha: Krippendorff's α of the labels of paired points.
    """

    f1: Estimate
    distance_px: Estimate
    normalised_error: Estimate
    label_alpha: Estimate


@dataclass(frozen=True, slots=True)
class People:
    """Agreement on withheld tasks that several people annotated.

    Attributes:
        tasks: number of these tasks.
        tasks_compared: number of tasks that were drawn for the comparison.
        tasks_shown: number of tasks whose several annotators saw the suggestions; not compared.
        reason: why there is no comparison; None if there is one.
    """

    tasks: int
    tasks_compared: int
    tasks_shown: int
    human_human: PeerAgreement
    detector_human: PeerAgreement
    reason: str | None


def people(
    table: VerdictTable, parameters: AgreementParameters, met: Meetings | None = None
) -> People:
    """Compare annotators with one another, and with the detector on the same withheld tasks.

    Points are paired again within `near`, regardless of their ids and labels.

    Args:
        met: of `table`; None to pair the points.
    """
    met = met or meetings(table, parameters)
    image = images_of_tasks(table)
    reason = SAW_SUGGESTIONS if table.tasks_shown_to_several else ONE_ANNOTATOR
    return People(
        tasks=table.tasks_of_several_annotators,
        tasks_compared=len(table.compared_tasks),
        tasks_shown=table.tasks_shown_to_several,
        human_human=_agreement(met.among, image, parameters),
        detector_human=_agreement(met.with_detector, image, parameters),
        reason=None if table.compared_tasks else reason,
    )


def _agreement(
    matches: Sequence[Meeting], image: Integers, parameters: AgreementParameters
) -> PeerAgreement:
    """Average over the pairs of sets of each task, then over tasks; distances over pairs."""
    tasks = np.array([each.task for each in matches], np.int64)
    compared = np.bincount(tasks, minlength=len(image))
    f1 = np.bincount(tasks, [each.f1 for each in matches], minlength=len(image))
    pairs = np.repeat(image[tasks], [len(each.pairs) for each in matches])
    distance = joined([each.distances for each in matches])
    length = joined([each.lengths for each in matches])
    limits, ones = parameters.limits, np.bincount(image)

    def mean(values: Floats) -> Estimate:
        sums = np.bincount(pairs, values)
        return ratio(sums, np.bincount(pairs), scale="positive", limits=limits)

    return PeerAgreement(
        f1=ratio(
            np.bincount(image, f1 / np.maximum(compared, 1)), ones, scale="share", limits=limits
        ),
        distance_px=mean(distance),
        normalised_error=mean(distance / length),
        label_alpha=alpha(matches, parameters),
    )
