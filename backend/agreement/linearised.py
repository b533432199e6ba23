"""Ratios of sums over images with the variance that the spread between images gives.

Image i moves the ratio r = A / B of two sums over m images by e_i = (a_i - r·b_i) / (B - b_i) when
it is left out. The variance is the delete-one jackknife, v = (m - 1)/m · Σ e_i²: the linearised
m/(m - 1) · Σ (a_i - r·b_i)² / B² where images are equally large, and more where they are not.

The degrees of freedom are 2m/(κ - 1) - 1, with κ the kurtosis of the e_i but at least 3, and at
most m - 1. Where few images carry nearly all of the spread (a share of 0.95 in 20 images), m - 1
would promise more than the data know. `docs/agreement-coverage.md` compares the two.

Sources: Wolter, Introduction to Variance Estimation, 2007, chapter 4 (jackknife); Kott, ASA
Proceedings of the Survey Research Methods Section, 1994 (degrees of freedom from the kurtosis).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

ROUNDING = 1e-12  # a difference below this share of its terms is 0
NORMAL_KURTOSIS = 3.0


@dataclass(frozen=True, slots=True)
class Linearised:
    """A ratio of sums over images, with what its interval and its comparisons need.

    Attributes:
        value: Σ numerators / Σ denominators.
        variance: of `value`; nan from one image.
        df: degrees of freedom of `variance`; 0 from one image.
        total: Σ denominators.
        images: images with a denominator above 0.
    """

    value: float
    variance: float
    df: float
    total: float
    images: int


def per_image(numerators: ArrayLike, denominators: ArrayLike) -> tuple[Array, Array]:
    """Return both, one number an image, of the images with a denominator above 0.

    A denominator that vanishes beside the sum of all is one of 0: leaving out the others would
    leave nothing.

    Raises:
        ValueError: unless both are one-dimensional, finite and of one length, and no denominator
            is negative.
    """
    top, bottom = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if top.ndim != 1 or top.shape != bottom.shape:
        raise ValueError(
            f"expected a numerator and a denominator for each image, got shapes {top.shape} and"
            f" {bottom.shape}: pass two arrays of the same length"
        )
    if not (np.isfinite(top).all() and np.isfinite(bottom).all() and (bottom >= 0).all()):
        raise ValueError("expected finite numbers and denominators of 0 or more: leave others out")
    contributes = bottom > ROUNDING * bottom.sum()
    return top[contributes], bottom[contributes]


def influences(top: Array, bottom: Array) -> Array:
    """Return by how much each image moves the ratio: ratio less the ratio without the image."""
    total = bottom.sum()
    expected = top.sum() / total * bottom
    apart = top - expected
    apart[np.abs(apart) <= ROUNDING * (np.abs(top) + np.abs(expected))] = 0.0
    return np.asarray(apart / (total - bottom), np.float64)


def spread(moves: Array) -> tuple[float, float]:
    """Return the variance of a figure and its degrees of freedom from m > 1 images' influences."""
    images, squares = len(moves), moves**2
    total = float(squares.sum())
    if total == 0:
        return 0.0, images - 1.0
    shares = squares / total
    kurtosis = max(NORMAL_KURTOSIS, images * float((shares**2).sum()))
    df = min(images - 1.0, max(1.0, 2 * images / (kurtosis - 1) - 1))
    return (images - 1) / images * total, df


def linearise(numerators: ArrayLike, denominators: ArrayLike) -> Linearised | None:
    """Return a ratio of sums over images with its variance, or None where no image contributes."""
    top, bottom = per_image(numerators, denominators)
    if len(bottom) == 0:
        return None
    total = float(bottom.sum())
    value = float(top.sum()) / total
    if len(bottom) == 1:
        return Linearised(value, math.nan, 0.0, total, 1)
    return Linearised(value, *spread(influences(top, bottom)), total, len(bottom))
