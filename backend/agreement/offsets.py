"""Where each annotator puts each label, beside where it is suggested: a systematic offset.

The offset is the mean of final less suggested position over the suggestions that were kept with
their label, those left in place included. Its 95 % ellipse and its test against no offset are
Hotelling's T², with the image as the cluster: m images give the covariance of the mean by the
delete-one jackknife, and T²·(m - 2) / (2·(m - 1)) is compared with F of 2 and m - 2 degrees of
freedom. The p-values hold for all offsets together (Holm).

Sources: Hotelling, Annals of Mathematical Statistics 2, 1931; Wolter, Introduction to Variance
Estimation, 2007, chapter 4; Holm, Scandinavian Journal of Statistics 6, 1979.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from backend.agreement.clustered import NO_SPREAD, too_few
from backend.agreement.columns import CODES, Floats, Integers, VerdictColumns
from backend.agreement.comparisons import fisher_p, holm
from backend.agreement.limits import LIMITS, Limits
from backend.agreement.linearised import ROUNDING, influences
from backend.agreement.parameters import AgreementParameters
from backend.agreement.submissions import annotator_names
from backend.verdicts.judging import ACCEPTED, MOVED

HOTELLING = "Hotelling's T² by images"


@dataclass(frozen=True, slots=True)
class Ellipse:
    """The region that holds the true offset.

    Attributes:
        major, minor: semi-axes, as a share of the longer side.
        angle: of the major axis, degrees from x towards y.
    """

    major: float
    minor: float
    angle: float


@dataclass(frozen=True, slots=True)
class Offset:
    """The offset of one annotator for one label; x to the right, y downwards.

    Attributes:
        points: kept suggestions.
        x, y: mean offset, as a share of the longer side of the object, else of the image.
        x_px, y_px: mean offset, px.
        ellipse: None where `reason` is set.
        p: chance of as large an offset where there is none.
        p_holm: the same, valid for all offsets together.
        reason: why there is no ellipse.
    """

    annotator: str
    label: str
    points: int
    images: int
    x: float
    y: float
    x_px: float
    y_px: float
    ellipse: Ellipse | None
    p: float | None
    p_holm: float | None
    method: str = HOTELLING
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Offsets:
    """The offsets that rest on the most points, the largest first.

    Attributes:
        left_out: annotators' labels that are not listed.
    """

    offsets: Sequence[Offset]
    left_out: int


@dataclass(frozen=True)
class MeanVector:
    """The mean of vectors that lie in images.

    Attributes:
        mean: (2,).
        covariance: (2, 2), of the mean; NaN from one image.
        images: that contribute.
    """

    mean: Floats
    covariance: Floats
    images: int

    @classmethod
    def of(cls, sums: Floats, counts: Floats) -> "MeanVector":
        """Average vectors from each image's sum, (images, 2), and number, (images,)."""
        images, mean = len(counts), sums.sum(axis=0) / counts.sum()
        if images < 2:
            return cls(mean, np.full((2, 2), np.nan), images)
        moves = np.stack([influences(sums[:, axis], counts) for axis in (0, 1)])
        return cls(mean, (images - 1) / images * moves @ moves.T, images)

    @property
    def is_flat(self) -> bool:
        """Whether the images do not differ in one direction, so that there is no ellipse."""
        least, most = np.linalg.eigvalsh(self.covariance)
        return bool(least <= ROUNDING * most)

    def p(self) -> float:
        """Test the mean against 0."""
        squared = float(self.mean @ np.linalg.solve(self.covariance, self.mean))
        df = self.images - 2
        return fisher_p(squared * df / (2 * (self.images - 1)), 2, df)

    def ellipse(self, limits: Limits = LIMITS) -> Ellipse:
        """Return the ellipse that holds the true mean."""
        from scipy.special import fdtri  # the web process starts without SciPy

        df = self.images - 2
        squared = 2 * (self.images - 1) / df * float(fdtri(2, df, limits.level))
        (least, most), axes = np.linalg.eigh(self.covariance)
        angle = math.degrees(math.atan2(axes[1, 1], axes[0, 1])) % 180
        return Ellipse(math.sqrt(squared * most), math.sqrt(squared * least), angle)


def offsets(columns: VerdictColumns, parameters: AgreementParameters) -> Offsets:
    """Estimate the offset of each annotator for each label, from first submissions.

    Args:
        columns: annotations that began as the suggestions.
    """
    columns = columns.first_submissions
    names, number = np.unique(annotator_names(columns), return_inverse=True)
    kept = (columns.verdict == CODES[ACCEPTED]) | (columns.verdict == CODES[MOVED])
    rows = np.flatnonzero(kept & columns.suggested & (names != "")[number][columns.annotation])
    labels = len(columns.labels) + 1  # a label of -1 is none
    group = number[columns.annotation[rows]] * labels + columns.suggested_label[rows] + 1
    sizes = np.bincount(group, minlength=len(names) * labels)
    largest = np.argsort(-sizes, kind="stable")[: parameters.most_groups]
    largest = largest[sizes[largest] > 0]
    place = np.full(len(sizes), -1)
    place[largest] = np.arange(len(largest))
    listed = place[group] >= 0
    of_groups = _sums(columns, rows[listed], place[group[listed]], len(largest))
    found = [
        _offset(
            str(names[key // labels]),
            columns.labels[key % labels - 1] if key % labels else "",
            of_group,
            parameters.limits,
        )
        for key, of_group in zip(largest.tolist(), of_groups, strict=True)
    ]
    return Offsets(_with_holm(found), int(np.count_nonzero(sizes)) - len(found))


def _sums(columns: VerdictColumns, rows: Integers, group: Integers, groups: int) -> list[Floats]:
    """Sum the moves of each group by image.

    Returns:
        For each group (images, 5): x and y as a share, x and y in px, points.
    """
    order = np.argsort(group.astype(np.int16), kind="stable")
    rows, ends = rows[order], np.searchsorted(group[order], np.arange(groups + 1))
    image, length = columns.image[columns.annotation[rows]], columns.longer_sides(rows)
    x = columns.final_x[rows] - columns.suggested_x[rows]
    y = columns.final_y[rows] - columns.suggested_y[rows]
    found, shares = [], (x / length, y / length)
    for first, last in pairwise(ends.tolist()):
        own = slice(first, last)
        parts = [np.bincount(image[own], each[own]) for each in (*shares, x, y)]
        sums = np.stack([*parts, np.bincount(image[own])], axis=1)
        found.append(sums[sums[:, 4] > 0])
    return found


def _offset(annotator: str, label: str, sums: Floats, limits: Limits) -> Offset:
    found = MeanVector.of(sums[:, :2], sums[:, 4])
    points = sums[:, 4].sum()
    x_px, y_px = (sums[:, 2:4].sum(axis=0) / points).tolist()
    x, y = found.mean.tolist()
    plain = Offset(
        annotator, label, round(points), found.images, x, y, x_px, y_px, None, None, None
    )
    reason = too_few(found.images, limits.fewest_images)
    if not reason and found.is_flat:
        reason = NO_SPREAD
    if reason:
        return replace(plain, reason=reason)
    return replace(plain, ellipse=found.ellipse(limits), p=found.p())


def _with_holm(found: Sequence[Offset]) -> list[Offset]:
    """Add p-values that hold for all offsets together."""
    tested = [each.p for each in found if each.p is not None]
    adjusted = iter(holm(tested))
    return [each if each.p is None else replace(each, p_holm=next(adjusted)) for each in found]
