"""How many images are needed: for an interval as narrow as wanted of the acceptance and of the
difference in F1 that showing suggestions makes, and to see a difference in time.
"""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from backend.agreement.anchoring import f1_by_image
from backend.agreement.clustered import (
    NO_SPREAD,
    Estimate,
    images_needed,
    log_times,
    too_few,
)
from backend.agreement.columns import VerdictColumns
from backend.agreement.limits import student_quantile
from backend.agreement.linearised import Linearised
from backend.agreement.parameters import AgreementParameters

SHOWN_TOO_FEW = "the images whose suggestions were shown are too few for it themselves"


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


@dataclass(frozen=True, slots=True)
class EnoughTimed:
    """Withheld images needed to see a difference in lead time, beside those there are.

    Attributes:
        difference: by which showing suggestions makes annotators faster, as a share of their
            geometric mean lead time without.
        power: chance that the interval of the difference then leaves out 0.
        images: withheld images with a lead time.
        images_needed: None where it cannot be told.
        reason: why it cannot be told.
    """

    difference: float
    power: float
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
    of_image = _variance_of_image(with_, without, parameters)
    left = (wanted / limits.z) ** 2 - with_.variance
    if left <= 0:
        return Enough(wanted, images, None, SHOWN_TOO_FEW)
    return Enough(wanted, images, max(limits.fewest_withheld, math.ceil(of_image / left)), None)


def enough_withheld_time(
    shown: VerdictColumns, withheld: VerdictColumns, parameters: AgreementParameters
) -> list[EnoughTimed]:
    """Return how many withheld images show differences in lead time, at the spread measured."""
    with_, without = (_log_seconds(each, parameters) for each in (shown, withheld))
    return [_enough_timed(each, with_, without, parameters) for each in parameters.time_differences]


def _log_seconds(columns: VerdictColumns, parameters: AgreementParameters) -> Linearised | None:
    """Return the mean logarithm of the lead times of first submissions; None without any."""
    seconds = np.array([each.lead_time for each in columns.annotations], np.float64)
    timed = columns.is_first
    return log_times(seconds[timed], columns.image[timed], parameters.limits)


def _enough_timed(
    difference: float,
    shown: Linearised | None,
    withheld: Linearised | None,
    parameters: AgreementParameters,
) -> EnoughTimed:
    limits, power = parameters.limits, parameters.power
    plain = EnoughTimed(difference, power, withheld.images if withheld else 0, None, None)
    few = too_few(shown.images if shown else 0, limits.fewest_images)
    if few or shown is None:
        return replace(plain, reason=f"{few} with a lead time and suggestions shown")
    of_image = _variance_of_image(shown, withheld, parameters)
    if of_image == 0:
        return replace(plain, reason=NO_SPREAD)
    needed = images_to_see(-math.log1p(-difference), shown.variance, of_image, parameters)
    return replace(plain, images_needed=needed, reason=None if needed else SHOWN_TOO_FEW)


def images_to_see(
    difference: float, variance: float, of_image: float, parameters: AgreementParameters
) -> int | None:
    """Return the images with which a mean is seen to differ from another one.

    Args:
        difference: of the means, above 0.
        variance: of the other mean.
        of_image: variance of one image.

    Returns:
        None where the other mean is too uncertain for any number of images.
    """
    limits = parameters.limits
    two_sided = (1 + limits.level) / 2
    errors = limits.z + NormalDist().inv_cdf(parameters.power)
    left = (difference / errors) ** 2 - variance
    if left <= 0:
        return None
    df = max(of_image / left, limits.fewest_withheld) - 1
    # The quantiles of Student's t are larger than those of the normal distribution.
    errors = student_quantile(two_sided, df) + student_quantile(parameters.power, df)
    left = (difference / errors) ** 2 - variance
    return max(limits.fewest_withheld, math.ceil(of_image / left)) if left > 0 else None


def _variance_of_image(
    shown: Linearised, withheld: Linearised | None, parameters: AgreementParameters
) -> float:
    """Return the variance that one withheld image has, or a shown one where those are too few."""
    enough_of_them = withheld and withheld.images >= parameters.fewest_withheld
    known = withheld if withheld and enough_of_them else shown
    return known.variance * known.images


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
