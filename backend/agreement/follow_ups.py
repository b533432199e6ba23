"""What became of the points that followed something that the annotator had placed.

Somebody had already said where the object is, so these points are right more often than those that
a task is opened with, and no other figure counts them. Their first verdicts count, as for the
acceptance.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from backend.agreement.clustered import Estimate, share
from backend.agreement.parameters import AgreementParameters
from backend.agreement.records import FollowUpCount
from backend.verdicts.judging import ACCEPTED, DELETED, MOVED, MOVED_AND_RELABELLED, RELABELLED


@dataclass(frozen=True, slots=True)
class FollowUps:
    """The points that followed, and the shares of them by what annotators did; these add up to 1.

    Attributes:
        points: their number.
        images: number of images that have such a point.
        kept: left as they were.
        moved: with or without another label.
        relabelled: where they were.
    """

    points: int
    images: int
    kept: Estimate
    moved: Estimate
    relabelled: Estimate
    deleted: Estimate


def follow_ups(counts: Sequence[FollowUpCount], parameters: AgreementParameters) -> FollowUps:
    """Count the points that followed, by image and by verdict."""
    images = sorted({each.image for each in counts})
    place = {image: number for number, image in enumerate(images)}
    number = np.array([each.count for each in counts], np.float64)
    image = np.array([place[each.image] for each in counts], int)
    total = np.bincount(image, number, minlength=len(images))

    def share_of(verdicts: Collection[str]) -> Estimate:
        chosen = np.array([each.verdict in verdicts for each in counts], bool)
        found = np.bincount(image[chosen], number[chosen], minlength=len(images))
        return share(found, total, parameters.limits)

    return FollowUps(
        points=sum(each.count for each in counts),
        images=len(images),
        kept=share_of({ACCEPTED}),
        moved=share_of({MOVED, MOVED_AND_RELABELLED}),
        relabelled=share_of({RELABELLED}),
        deleted=share_of({DELETED}),
    )
