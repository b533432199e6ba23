"""How many images are needed for an interval as narrow as wanted: of the acceptance, and of the
difference that showing suggestions makes.
"""

import math
from dataclasses import dataclass

import numpy as np

from backend.agreement.anchoring import f1_by_image
from backend.agreement.clustered import NO_SPREAD, Estimate, images_needed, too_few
from backend.agreement.columns import VerdictColumns
from backend.agreement.parameters import AgreementParameters


@dataclass(frozen=True, slots=True)
class Enough:
    """Images needed beside those there are.

    Attributes:
        half_width: of the interval wanted, as a share.
        images: images that contribute.
        images_needed: None where it cannot be told.
        reason: why it cannot be told.
    """

    half_width: float
    images: int
    images_needed: int | None
    reason: str | None


def enough(acceptance: Estimate, parameters: AgreementParameters) -> Enough:
    """Return how many images give the acceptance the half width wanted, at its design effect."""
    wanted, images = parameters.wanted_half_width, acceptance.images
    reason = _reason(acceptance, parameters)
    if reason or acceptance.value is None or not acceptance.deff:
        return Enough(wanted, images, None, reason)
    points = acceptance.n / images
    needed = images_needed(
        acceptance.value, wanted, acceptance.deff, points, limits=parameters.limits
    )
    return Enough(wanted, images, needed, None)


def enough_withheld(
    shown: VerdictColumns, withheld: VerdictColumns, parameters: AgreementParameters
) -> Enough:
    """Return how many withheld images give F1, shown less withheld, the half width wanted.

    They are taken to be as different as the withheld images that there are, or where these are too
    few, as the shown ones. The shown images stay as they are.
    """
    limits, wanted = parameters.limits, parameters.wanted_half_width
    with_, without = (
        f1_by_image(each, np.ones(len(each.annotations), bool)) for each in (shown, withheld)
    )
    images = without.images if without else 0
    few = too_few(with_.images if with_ else 0, limits.fewest_images)
    if few or with_ is None:
        return Enough(wanted, images, None, f"{few} with suggestions shown")
    known = without if without and images >= limits.fewest_withheld else with_
    left = (wanted / limits.z) ** 2 - with_.variance
    if left <= 0:
        reason = "the images whose suggestions were shown are too few for it themselves"
        return Enough(wanted, images, None, reason)
    needed = max(limits.fewest_withheld, math.ceil(known.variance * known.images / left))
    return Enough(wanted, images, needed, None)


def _reason(acceptance: Estimate, parameters: AgreementParameters) -> str | None:
    """Return why the number of images cannot be told, or None where it can."""
    if acceptance.value is None:
        return acceptance.reason
    few = too_few(acceptance.images, parameters.fewest_images)
    if few:
        return few
    if acceptance.value in (0, 1):
        return "all suggestions were judged alike"
    return None if acceptance.deff else NO_SPREAD
