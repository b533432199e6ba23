"""How many images the acceptance needs for an interval as narrow as wanted."""

from dataclasses import dataclass

from backend.agreement.clustered import NO_SPREAD, Estimate, images_needed, too_few
from backend.agreement.parameters import AgreementParameters


@dataclass(frozen=True, slots=True)
class Enough:
    """Images needed beside those there are.

    Attributes:
        half_width: of the interval wanted, as a share.
        images: images that contribute to the acceptance.
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
