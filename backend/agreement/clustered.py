"""Figures of points that lie in images, with intervals that take the image as the cluster.

Points of one image resemble each other, so an interval that takes them for independent is too
narrow. Each interval here rests on the spread between images (`linearised`).

Sources: Kish, Survey Sampling, 1965 (design effect); Korn and Graubard, Survey Methodology 24,
1998 (effective n); Franco, Little, Louis and Slud, Journal of Survey Statistics and Methodology 7,
2019 (Wilson's interval with it); Woodruff, JASA 47, 1952 (quantiles).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.agreement.limits import LIMITS, Limits
from backend.agreement.linearised import ROUNDING, Array, Linearised, linearise, per_image

Scale = Literal["share", "positive", "any"]

WILSON = "Wilson, effective n by images"
LOG_T = "t by images, log scale"
PLAIN_T = "t by images"
WOODRUFF = "Woodruff, t by images"
NO_DATA = "no image contributes"
NO_SPREAD = "the images do not differ"
LARGEST_EXPONENT = 600.0  # e^709 is the largest float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval, or with the reason why there is none.

    Attributes:
        value: None where no image contributes.
        low, high: ends of the interval; both None where `reason` is set.
        n: points, judgements or annotations that the figure rests on.
        images: images that contribute.
        method: how the interval was made.
        deff: variance over that of as many independent points.
        icc: correlation of two points of one image.
        reason: why there is no interval.
        left_out: values that were not used.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    images: int
    method: str
    deff: float | None = None
    icc: float | None = None
    reason: str | None = None
    left_out: int = 0


def wilson(share: float, n: float, z: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of n > 0 independent points, n not always whole.

    Source: Wilson, JASA 22, 1927.
    """
    middle = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    whole = 1 + z**2 / n
    low = 0.0 if share <= 0 else min(share, max(0.0, (middle - half) / whole))
    high = 1.0 if share >= 1 else max(share, min(1.0, (middle + half) / whole))
    return low, high


def effective_n(found: Linearised, most: float, limits: Limits) -> float:
    """Return how many independent points tell as much about a share as these images do.

    Where every point is alike nothing is known of the spread: then each image counts as one point.
    """
    if found.variance == 0:
        return most if 0 < found.value < 1 and math.isfinite(most) else float(found.images)
    independent = found.value * (1 - found.value) / found.variance
    return max(ROUNDING, min(most, independent * (limits.z / limits.t(found.df)) ** 2))


def too_few(count: int, fewest: int, of: str = "images") -> str | None:
    """Return the reason why there is no interval, or None with enough images."""
    return f"{count} of at least {fewest} {of}" if count < fewest else None


def extreme(value: float, images: int, limits: Limits) -> str | None:
    """Return the reason why a share near 0 or 1 has no interval, or None where it has one."""
    near = value <= limits.extreme_share or value >= 1 - limits.extreme_share
    if near and images < limits.fewest_images_extreme:
        return f"near 0 or 1: {images} of at least {limits.fewest_images_extreme} images"
    return None


def share(successes: ArrayLike, trials: ArrayLike, limits: Limits = LIMITS) -> Estimate:
    """Estimate a share of points, such as the acceptance, with Wilson's interval.

    The n of Wilson's formula is p(1 - p)/v · (z/t)², at most the number of points.

    Args:
        successes: (images,) how many points of each image succeeded.
        trials: (images,) how many points each image has.

    Raises:
        ValueError: unless 0 <= successes <= trials, or as `per_image`.
    """
    won, tried = per_image(successes, trials)
    if (won < 0).any() or (won > tried).any() or np.asarray(successes).sum() != won.sum():
        raise ValueError("expected 0 <= successes <= trials in each image: count them again")
    found = linearise(won, tried)
    if found is None:
        return Estimate(None, None, None, 0, 0, WILSON, reason=NO_DATA)
    value, points = found.value, round(found.total)
    plain = Estimate(value, None, None, points, found.images, WILSON)
    reason = too_few(found.images, limits.fewest_images_share)
    if reason:
        return replace(plain, reason=reason)
    deff = found.variance * points / (value * (1 - value)) if 0 < value < 1 else None
    plain = replace(plain, deff=deff, icc=correlation(won, tried))
    reason = extreme(value, found.images, limits)
    if reason:
        return replace(plain, reason=reason)
    low, high = wilson(value, effective_n(found, points, limits), limits.z)
    return replace(plain, low=low, high=high)


def ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    scale: Scale,
    n: int | None = None,
    limits: Limits = LIMITS,
) -> Estimate:
    """Estimate a ratio of two sums over images, such as F1 or a mean distance.

    Args:
        numerators: (images,) each image's part of the upper sum.
        denominators: (images,) each image's part of the lower sum.
        scale: "share" for a figure in [0, 1] (F1, OKS): Wilson's formula with
            n = r(1 - r)/v · (z/t)²; "positive" for one above 0 (NME, mean distance): t on the
            log scale; "any" for one of either sign: t.
        n: what the figure rests on; the lower sum if None.

    Raises:
        ValueError: for a value that does not fit the scale, or as `per_image`.
    """
    method = {"share": WILSON, "positive": LOG_T, "any": PLAIN_T}[scale]
    found = linearise(numerators, denominators)
    if found is None:
        return Estimate(None, None, None, 0, 0, method, reason=NO_DATA)
    value = found.value
    if (scale == "share" and not 0 <= value <= 1) or (scale == "positive" and value < 0):
        raise ValueError(f"expected a figure that fits {scale=}, got {value}: choose another scale")
    plain = Estimate(
        value, None, None, round(found.total) if n is None else n, found.images, method
    )
    reason = too_few(found.images, limits.fewest_images)
    if not reason and scale == "share":
        reason = extreme(value, found.images, limits)
    elif not reason and found.variance == 0:
        reason = NO_SPREAD
    if reason:
        return replace(plain, reason=reason)
    low, high = ends(found, scale, limits)
    return replace(plain, low=low, high=high)


def ends(found: Linearised, scale: Scale, limits: Limits) -> tuple[float, float]:
    """Return the interval of a ratio from images that differ (or of a share from any)."""
    if scale == "share":
        return wilson(found.value, effective_n(found, math.inf, limits), limits.z)
    half = limits.t(found.df) * math.sqrt(found.variance)
    if scale == "positive":
        factor = math.exp(min(half / found.value, LARGEST_EXPONENT))
        return found.value / factor, found.value * factor
    return found.value - half, found.value + half


def quantile(
    values: ArrayLike, image: NDArray[np.integer], q: float, limits: Limits = LIMITS
) -> Estimate:
    """Estimate a quantile, such as the median distance, with Woodruff's interval.

    The interval of the share below the quantile, q ± t·√v, is read off the sorted values. Of values
    equal to the quantile half count as below. Where many are equal to it (distances of exactly 0),
    the interval holds the true quantile more often than the level says: none can do otherwise.

    Args:
        values: (n,) of points.
        image: (n,) the number of each point's image, 0 or more.
        q: in (0, 1).

    Raises:
        ValueError: unless values are finite, one for each image number, and 0 < q < 1.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or numbers.shape != image.shape or not 0 < q < 1:
        raise ValueError(
            f"expected an image for each value and 0 < q < 1, got shapes {numbers.shape} and"
            f" {image.shape}, {q=}"
        )
    if not np.isfinite(numbers).all():
        raise ValueError("expected finite values: leave others out")
    if len(numbers) == 0:
        return Estimate(None, None, None, 0, 0, WOODRUFF, reason=NO_DATA)
    ordered, count = np.sort(numbers), len(numbers)
    value = float(np.quantile(ordered, q))
    below = (numbers < value) + 0.5 * (numbers == value)
    points = np.bincount(image)
    found = linearise(np.bincount(image, below, minlength=len(points)), points)
    assert found is not None  # there is a value, so there is an image
    plain = Estimate(value, None, None, count, found.images, WOODRUFF)
    reason = too_few(found.images, limits.fewest_images)
    if not reason and ordered[0] == ordered[-1]:
        reason = "all values are equal"
    if reason:
        return replace(plain, reason=reason)
    variance = found.variance or q * (1 - q) / found.images
    half = limits.t(found.df) * math.sqrt(variance)
    first = max(0, math.ceil(count * (q - half) - ROUNDING) - 1)
    last = min(count - 1, math.floor(count * (q + half) + ROUNDING))
    low, high = float(ordered[first]), float(ordered[last])
    deff = variance * count / (q * (1 - q))
    return replace(plain, low=min(low, value), high=max(high, value), deff=deff)


def working_times(
    seconds: ArrayLike, image: NDArray[np.integer], limits: Limits = LIMITS
) -> tuple[Array, NDArray[np.integer], int]:
    """Return the lead times that are work, their images, and how many were left out."""
    times = np.asarray(seconds, np.float64)
    kept = (times > 0) & (times <= limits.longest_seconds)
    return times[kept], image[kept], int(np.count_nonzero(~kept))


def log_times(
    seconds: ArrayLike, image: NDArray[np.integer], limits: Limits = LIMITS
) -> Linearised | None:
    """Return the mean natural logarithm of the lead times that are work, linearised by image."""
    times, of, _ = working_times(seconds, image, limits)
    return linearise(np.bincount(of, np.log(times)), np.bincount(of))


def geometric_seconds(logarithms: Linearised) -> Linearised:
    """Return the geometric mean in seconds of a mean logarithm, by the delta method."""
    value = math.exp(logarithms.value)
    return replace(logarithms, value=value, variance=value**2 * logarithms.variance)


def geometric_mean(
    seconds: ArrayLike, image: NDArray[np.integer], limits: Limits = LIMITS
) -> Estimate:
    """Estimate the geometric mean of lead times; times that are no work are left out and counted.

    Args:
        seconds: (n,) lead times of annotations.
        image: (n,) the number of each annotation's image, 0 or more.
    """
    times, _, left_out = working_times(seconds, image, limits)
    found = log_times(seconds, image, limits)
    if found is None:
        return Estimate(None, None, None, 0, 0, LOG_T, reason=NO_DATA, left_out=left_out)
    mean = geometric_seconds(found)
    plain = Estimate(mean.value, None, None, len(times), found.images, LOG_T, left_out=left_out)
    reason = too_few(found.images, limits.fewest_images)
    if not reason and found.variance == 0:
        reason = NO_SPREAD
    if reason:
        return replace(plain, reason=reason)
    low, high = ends(mean, "positive", limits)
    deff = found.variance * len(times) / float(np.log(times).var(ddof=1))
    return replace(plain, low=low, high=high, deff=deff)


def median_time(
    seconds: ArrayLike, image: NDArray[np.integer], limits: Limits = LIMITS
) -> Estimate:
    """Estimate the median of lead times; times that are no work are left out and counted.

    Woodruff's interval is the same on every scale, so the logarithm needs no step of its own.
    """
    times, of, left_out = working_times(seconds, image, limits)
    return replace(quantile(times, of, 0.5, limits), left_out=left_out)


def correlation(successes: Array, trials: Array) -> float | None:
    """Return the intraclass correlation of a share, by analysis of variance, cut off at 0.

    None where it cannot be told: one image, one point an image, or all points alike.

    Source: Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 2003, chapter 15.
    """
    images, points = len(trials), float(trials.sum())
    if images < 2 or points <= images:
        return None
    overall = successes.sum() / points
    within = float((successes * (1 - successes / trials)).sum()) / (points - images)
    between = float((trials * (successes / trials - overall) ** 2).sum()) / (images - 1)
    size = (points - float((trials**2).sum()) / points) / (images - 1)
    whole = between + (size - 1) * within
    return max(0.0, (between - within) / whole) if whole > 0 else None


def images_needed(
    expected: float,
    half_width: float,
    deff: float,
    points_per_image: float,
    limits: Limits = LIMITS,
) -> int:
    """Return how many images give a share an interval of ± half_width.

    Args:
        expected: the share to be expected, in [0, 1].
        half_width: of the interval, above 0.
        deff: design effect, 1 + (points_per_image - 1)·ICC for images of one size.
        points_per_image: mean number of points of an image.

    Raises:
        ValueError: for a number out of its range.
    """
    if not (0 <= expected <= 1 and half_width > 0 and deff > 0 and points_per_image > 0):
        raise ValueError(
            "expected a share in [0, 1] and the others above 0, got"
            f" {expected=}, {half_width=}, {deff=}, {points_per_image=}"
        )
    points = expected * (1 - expected) * (limits.z / half_width) ** 2 * deff
    return math.ceil(points / points_per_image - ROUNDING)
