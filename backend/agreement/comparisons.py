"""Differences between groups of images, and tests whether several groups differ at all.

Sources: Welch, Biometrika 34, 1947 (degrees of freedom); Rao and Scott, Biometrics 48,
1992 (χ² with the design effect); Holm, Scandinavian Journal of Statistics 6,
1979 (several comparisons).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from backend.agreement.clustered import NO_SPREAD, Estimate, too_few
from backend.agreement.limits import LIMITS, Limits
from backend.agreement.linearised import Linearised, influences, linearise, spread

WELCH = "difference, t by images (Welch)"
PAIRED = "paired difference, t by images"
STRATIFIED = "difference within strata, weighted by withheld images"
CHI_SQUARE = "χ² with design effect, as F"


@dataclass(frozen=True, slots=True)
class Stratum:
    """Images of one project and model version; None for a group without an image.

    Both figures are of one kind, such as `log_times` or `geometric_seconds`.
    """

    shown: Linearised | None
    withheld: Linearised | None


@dataclass(frozen=True, slots=True)
class GroupTest:
    """Whether several groups differ in their figure.

    Attributes:
        p: chance of differences as large as these between equal groups; None where `reason` is set.
        groups: how many were compared; those with too few images are left out.
        images: of the groups compared, an image of two groups counted twice.
        method: which test.
        reason: why there is no test.
    """

    p: float | None
    groups: int
    images: int
    method: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PairTest:
    """Whether the groups at two places of a list differ; `p` is Holm's, valid for all pairs."""

    first: int
    second: int
    p: float


def difference_independent(
    first: Linearised | None, second: Linearised | None, limits: Limits = LIMITS
) -> Estimate:
    """Estimate first less second, figures of two groups that share no image."""
    if first is None or second is None:
        return Estimate(None, None, None, 0, 0, WELCH, reason="a group has no image")
    points, images = round(first.total + second.total), first.images + second.images
    plain = Estimate(first.value - second.value, None, None, points, images, WELCH)
    reason = too_few(min(first.images, second.images), limits.fewest_images)
    if not reason and min(first.variance, second.variance) == 0:
        reason = f"in one group {NO_SPREAD}"
    if reason:
        return replace(plain, reason=reason)
    return with_ends(plain, *welch([(1, first), (-1, second)]), limits)


def difference_paired(
    first: tuple[ArrayLike, ArrayLike],
    second: tuple[ArrayLike, ArrayLike],
    limits: Limits = LIMITS,
) -> Estimate:
    """Estimate first less second, two figures of the same images, on those where both exist.

    Args:
        first, second: numerators and denominators, each (images,), in the same order of images; the
            figure is the ratio of their sums. For one number an image: it, and ones.

    Raises:
        ValueError: unless all four have one length.
    """
    a, b, c, d = (np.asarray(part, np.float64) for part in (*first, *second))
    if not a.shape == b.shape == c.shape == d.shape or a.ndim != 1:
        raise ValueError(
            f"expected four numbers for each image, got shapes {a.shape}, {b.shape}, {c.shape},"
            f" {d.shape}: pass arrays of the same length"
        )
    both = (b > 0) & (d > 0)
    one, other = linearise(a[both], b[both]), linearise(c[both], d[both])
    if one is None or other is None:
        return Estimate(None, None, None, 0, 0, PAIRED, reason="no image has both")
    points = round(one.total + other.total)
    plain = Estimate(one.value - other.value, None, None, points, one.images, PAIRED)
    reason = too_few(one.images, limits.fewest_images)
    if reason:
        return replace(plain, reason=reason)
    moves = influences(a[both], b[both]) - influences(c[both], d[both])
    return with_ends(plain, *spread(moves), limits)


def difference_stratified(strata: Sequence[Stratum], limits: Limits = LIMITS) -> Estimate:
    """Estimate shown less withheld within strata, averaged with their withheld images as weights.

    A stratum counts where both groups have two images or more.

    Returns:
        The difference: `n` counts its withheld images, `images` all of its images, `left_out` the
        withheld images of strata that do not count.
    """
    pairs = [
        (stratum.shown, stratum.withheld)
        for stratum in strata
        if stratum.shown and stratum.withheld
        if min(stratum.shown.images, stratum.withheld.images) > 1
    ]
    counted = sum(withheld.images for _, withheld in pairs)
    images = counted + sum(shown.images for shown, _ in pairs)
    left_out = sum(stratum.withheld.images for stratum in strata if stratum.withheld) - counted
    plain = Estimate(None, None, None, counted, images, STRATIFIED, left_out=left_out)
    missing = max(1, limits.fewest_withheld) - counted
    if missing > 0:
        return replace(plain, reason=f"{missing} more withheld images needed")
    parts = [
        (sign * withheld.images / counted, group)
        for shown, withheld in pairs
        for sign, group in ((1, shown), (-1, withheld))
    ]
    value = sum(weight * group.value for weight, group in parts)
    return with_ends(replace(plain, value=value), *welch(parts), limits)


def welch(parts: Sequence[tuple[float, Linearised]]) -> tuple[float, float]:
    """Return the variance of a weighted sum of independent figures, and its degrees of freedom.

    Args:
        parts: weight and figure of each, from two images or more.
    """
    terms = [(weight**2 * found.variance, found.df) for weight, found in parts]
    variance = sum(term for term, _ in terms)
    if variance == 0:
        return 0.0, 1.0
    return variance, 1 / sum((term / variance) ** 2 / df for term, df in terms)


def with_ends(plain: Estimate, variance: float, df: float, limits: Limits) -> Estimate:
    """Add the t interval that the variance gives, or the reason why there is none."""
    if variance == 0 or plain.value is None:
        return replace(plain, reason=NO_SPREAD)
    half = limits.t(df) * math.sqrt(variance)
    return replace(plain, low=plain.value - half, high=plain.value + half)


def compare_shares(groups: Sequence[Linearised], limits: Limits = LIMITS) -> GroupTest:
    """Test whether several groups have the same share, by χ² with their common design effect.

    χ² = Σ N_g (p_g - p)² / (d·p(1 - p)), with N_g the points of a group and p the share of all. The
    design effect d, 1 or more, is the mean of v_g·N_g / (p(1 - p)), with the degrees of freedom of
    the v_g as weights: one for each group would itself vary too much. χ² / (groups - 1) is compared
    with F. Groups that share images are taken for independent, which is cautious where what they
    have in common is the difficulty of the images.
    """
    kept = [group for group in groups if group.images >= limits.fewest_images]
    plain = GroupTest(None, len(kept), sum(group.images for group in kept), CHI_SQUARE)
    if len(kept) < 2:
        reason = f"fewer than two groups with {limits.fewest_images} images"
        return replace(plain, reason=reason)
    shares = np.array([group.value for group in kept])
    points = np.array([group.total for group in kept])
    dfs = np.array([group.df for group in kept])
    mean = float(points @ shares / points.sum())
    if not 0 < mean < 1:
        return replace(plain, p=1.0)
    of_point = float(dfs @ [group.variance * group.total for group in kept] / dfs.sum())
    chi_square = float(points @ (shares - mean) ** 2) / max(of_point, mean * (1 - mean))
    df = len(kept) - 1
    return replace(plain, p=fisher_p(chi_square / df, df, float(dfs.sum())))


def compare_pairs(groups: Sequence[Linearised], limits: Limits = LIMITS) -> list[PairTest]:
    """Compare the shares of every two groups with enough images, with Holm's p-values.

    Call it only where the test of all groups together finds a difference. Groups that share images
    are taken for independent, as by `compare_shares`.
    """
    usable = [place for place, each in enumerate(groups) if each.images >= limits.fewest_images]
    pairs = list(combinations(usable, 2))
    adjusted = holm([equal_shares_p(groups[one], groups[other]) for one, other in pairs])
    return [PairTest(one, other, p) for (one, other), p in zip(pairs, adjusted, strict=True)]


def equal_shares_p(first: Linearised, second: Linearised) -> float:
    """Return the two-sided p-value of a difference in shares, from two images or more of each.

    A score test: t = (p_1 - p_2) / √(Σ p(1 - p)·d_g / N_g), with p the share of all points of both,
    d_g the design effects, and Welch's degrees of freedom. So it holds near 0 and 1 as well, where
    the variance of few images comes out too small, and in groups whose share is 0 or 1.
    """
    both = (first, second)
    p = sum(group.value * group.total for group in both) / sum(group.total for group in both)
    if not 0 < p < 1:
        return 1.0
    terms = [
        (p * (1 - p) * _design_effect(group, other) / group.total, max(1.0, group.df))
        for group, other in (both, both[::-1])
    ]
    variance = sum(term for term, _ in terms)
    df = variance**2 / sum(term**2 / df for term, df in terms)
    return fisher_p((first.value - second.value) ** 2 / variance, 1, df)


def _design_effect(group: Linearised, other: Linearised) -> float:
    """Return the variance of a group's share over that of independent points, 1 or more.

    Where the share is 0 or 1 it is not known. Then it is taken for the mean of two: that of the
    other group, and the largest there can be, of images whose points never differ.
    """
    own, others = (
        max(1.0, each.variance * each.total / (each.value * (1 - each.value)))
        if 0 < each.value < 1
        else None
        for each in (group, other)
    )
    largest = max(1.0, group.total / group.images)
    if own is not None:
        return own
    return largest if others is None else (others + largest) / 2


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that hold for all comparisons together, in the order given."""
    order = np.argsort(p_values, kind="stable").tolist()
    adjusted, largest = [0.0] * len(order), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def fisher_p(statistic: float, df: float, df_within: float) -> float:
    """Return the chance of a larger value of Fisher's F."""
    from scipy.special import fdtrc  # the web process starts without SciPy

    return float(fdtrc(df, df_within, statistic))
