"""Worlds of known truth: images whose points resemble each other."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

POINTS = 12  # an image, on average
SIZES = ("12", "1 to 23")
SIGMA = 0.9  # of the logarithm of a distance or time
SHAPE = 2.0  # of gamma times


@dataclass(frozen=True, slots=True)
class World:
    """Images whose points resemble each other, with one random stream."""

    random: np.random.Generator
    images: int
    correlation: float
    sizes: str

    def points(self) -> Counts:
        """Return (images,) numbers of points."""
        if self.sizes == "12":
            return np.full(self.images, POINTS)
        return self.random.integers(1, 2 * POINTS, self.images)

    def chances(self, mean: float | Array) -> Array:
        """Return (images,) chances of success, beta around `mean` with the world's ICC.

        Args:
            mean: of all images, or of each: (images,).
        """
        means = np.broadcast_to(np.asarray(mean, np.float64), (self.images,))
        if self.correlation == 0 or not means.any():
            return means.copy()
        size = (1 - self.correlation) / self.correlation
        return self.random.beta(means * size, (1 - means) * size)

    def successes(self, mean: float | Array) -> tuple[Counts, Counts]:
        """Return (images,) beta-binomial successes and their trials."""
        points = self.points()
        return self.random.binomial(points, self.chances(mean)), points

    def logarithms(self, points: Counts) -> tuple[Array, Counts]:
        """Return normal logarithms, with the world's ICC, and the image of each."""
        image = np.repeat(np.arange(self.images), points)
        return SIGMA * self.alike(image), image

    def alike(self, image: Counts) -> Array:
        """Return standard normal numbers, those of an image with the world's ICC."""
        shared = self.random.standard_normal(self.images)[image]
        own = self.random.standard_normal(len(image))
        return math.sqrt(self.correlation) * shared + math.sqrt(1 - self.correlation) * own

    def distances(self, zeros: float) -> tuple[Array, Counts]:
        """Return lognormal distances, a share of them exactly 0, and the image of each."""
        logarithms, image = self.logarithms(self.points())
        away = self.random.random(len(image)) >= self.chances(zeros)[image]
        return np.where(away, np.exp(logarithms), 0.0), image

    def annotations(self) -> Counts:
        """Return (images,) numbers of annotations, 1 to 3."""
        return self.random.integers(1, 4, self.images)

    def seconds(self) -> tuple[Array, Counts]:
        """Return lognormal lead times around 10 s, 2 % of them of an open tab, and their images."""
        logarithms, image = self.logarithms(self.annotations())
        open_tab = self.random.random(len(image)) < 0.02
        return np.where(open_tab, 7200.0, 10 * np.exp(logarithms)), image

    def gamma_seconds(self) -> tuple[Array, Counts]:
        """Return gamma lead times with a gamma effect of the image, and the image of each."""
        image = np.repeat(np.arange(self.images), self.annotations())
        variance = self.correlation
        effect = np.ones(self.images)
        if variance:
            effect = self.random.gamma(1 / variance, variance, self.images)
        return effect[image] * self.random.gamma(SHAPE, 5.0, len(image)), image

    def matches(self, mean: float) -> tuple[Counts, Counts]:
        """Return (images,) 2 · matches and suggestions + final points, the parts of F1."""
        points, chances = self.points(), self.chances(mean)
        found = self.random.binomial(points, chances)
        added = self.random.poisson(0.7 * points * (1 - chances) + 0.3)
        return 2 * found, points + found + added
