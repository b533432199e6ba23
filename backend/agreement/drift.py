"""Whether the share of suggestions that is accepted drifts, over time or over model versions.

Three questions, with the image as the unit of all of them:

- *Trend*: does acceptance rise or fall? The score test of a logistic trend over the order of the
  annotations in time, U = Σ x·(y - p), with the variance of the images' parts of U, and Student's
  t. The order, not the date, is the trend's x: one annotation a year late has no leverage.
- *Versions*: do model versions differ? (`comparisons.compare_shares`)
- *Change*: since when is it different? The largest standardised CUSUM over all dates, compared with
  that of random orders of the images.

A trend can be one of images or of who annotated when, as much as of the model.

Sources: Boos, The American Statistician 46, 1992 (score tests with the spread between clusters);
Armitage, Biometrics 11, 1955 (trends of shares); Page, Biometrika 42, 1955 (CUSUM); Antoch and
Hušková, Statistics and Probability Letters 53, 2001 (permutation test of a change).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from backend.agreement.as_json import fields_as_json
from backend.agreement.clustered import Estimate, share, too_few
from backend.agreement.columns import Floats, Integers, VerdictColumns
from backend.agreement.comparisons import GroupTest, compare_shares
from backend.agreement.limits import LIMITS, Limits
from backend.agreement.linearised import ROUNDING, linearise, spread
from backend.agreement.parameters import AgreementParameters
from backend.agreement.submissions import Submissions

SCORE = "score test of a trend, t by images"
CUSUM = "largest CUSUM, permutation of images"
ONE_TIME = "all annotations are of one time"
ALL_ALIKE = "all suggestions were judged alike"
FEWEST_ON_A_SIDE = 5  # images before and after a change
MOST_BLOCKS = 250  # of images that are permuted together


@dataclass(frozen=True, slots=True)
class Trend:
    """Whether acceptance rises or falls.

    Attributes:
        change: fitted acceptance of the last annotation less that of the first; None where `reason`
            is set.
        p: chance of as strong a trend where there is none.
        images: that contribute.
        reason: why there is no test.
    """

    change: float | None
    p: float | None
    images: int
    method: str = SCORE
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The moment at which acceptance changed most.

    Attributes:
        p: chance of as large a change at any moment where the order of the images means nothing.
        since: when the first image after it was annotated; None unless `p` is below 1 - level.
        before, after: acceptance; chosen for being different, so they differ by less than they
            seem to.
        reason: why there is no test.
    """

    p: float | None
    since: datetime | None
    before: Estimate | None
    after: Estimate | None
    images: int
    method: str = CUSUM
    reason: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the moment as text in ISO 8601."""
        found = fields_as_json(self)
        found["since"] = None if self.since is None else self.since.isoformat()
        return found


@dataclass(frozen=True, slots=True)
class Drift:
    """Acceptance over time and over model versions."""

    trend: Trend
    versions: GroupTest
    change: Change


def drift(
    columns: VerdictColumns, parameters: AgreementParameters, submitted: Submissions | None = None
) -> Drift:
    """Test whether acceptance drifts.

    Args:
        columns: annotations that began as the suggestions.
        submitted: of `columns`; None to compute them.
    """
    first = submitted or Submissions.of(columns, parameters)
    chosen = np.flatnonzero(first.judged)
    annotations = [columns.annotations[place] for place in chosen.tolist()]
    time = np.array([each.updated_at.timestamp() for each in annotations], np.float64)
    judged = Judged(
        accepted=first.accepted[chosen].astype(np.float64),
        suggested=first.suggested[chosen].astype(np.float64),
        image=np.unique(columns.image[chosen], return_inverse=True)[1].astype(np.int64),
        order=np.unique(time, return_inverse=True)[1].astype(np.int64),
    )
    versions = [each.model_version for each in annotations]
    moment = {
        number: each.updated_at
        for number, each in zip(judged.order.tolist(), annotations, strict=True)
    }
    found, start = change(judged, parameters.seed, parameters.change_draws, parameters.limits)
    return Drift(
        trend=trend(judged, parameters.limits),
        versions=_versions(judged, versions, parameters),
        change=found if start is None else replace(found, since=moment[start]),
    )


@dataclass(frozen=True)
class Judged:
    """Annotations with suggestions; every attribute is (annotations,).

    Attributes:
        accepted, suggested: points.
        image: numbers without gaps.
        order: place in time, equal moments alike.
    """

    accepted: Floats
    suggested: Floats
    image: Integers
    order: Integers

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.image.max(initial=-1)) + 1


def trend(judged: Judged, limits: Limits = LIMITS) -> Trend:
    """Test whether acceptance rises or falls along the order in time."""
    plain = Trend(None, None, judged.images)
    reason = too_few(judged.images, limits.fewest_images)
    if reason or judged.order.max() == 0:
        return replace(plain, reason=reason or ONE_TIME)
    points = judged.suggested
    share_of_all = float(judged.accepted.sum() / points.sum())
    if not 0 < share_of_all < 1:
        return replace(plain, reason=ALL_ALIKE)
    x = judged.order / judged.order.max()
    x = x - x @ points / points.sum()
    squares = float(points @ x**2)
    slope = float(x @ judged.accepted) / squares
    residual = judged.accepted - share_of_all * points
    moves = np.bincount(judged.image, x * residual)
    variance, df = spread(moves - moves.mean())
    if variance <= ROUNDING * squares:
        return replace(plain, change=slope, p=1.0)
    from scipy.special import stdtr  # the web process starts without SciPy

    # `spread` gives (m - 1)/m · Σ e²; the sum of m parts varies by m/(m - 1) · Σ e².
    images = judged.images
    t = float(moves.sum()) / math.sqrt(variance) * (images - 1) / images
    return replace(plain, change=slope, p=float(2 * stdtr(df, -abs(t))))


def _versions(
    judged: Judged, versions: Sequence[str], parameters: AgreementParameters
) -> GroupTest:
    """Test whether the model versions with the most annotations differ."""
    names, number, sizes = np.unique(
        np.array(versions, str), return_inverse=True, return_counts=True
    )
    largest = np.argsort(-sizes, kind="stable")[: parameters.most_groups].tolist()
    groups = []
    for place in largest if len(names) else []:
        own = number == place
        accepted = np.bincount(judged.image[own], judged.accepted[own])
        found = linearise(accepted, np.bincount(judged.image[own], judged.suggested[own]))
        if found is not None:
            groups.append(found)
    return compare_shares(groups, parameters.limits)


def change(
    judged: Judged, seed: int, draws: int, limits: Limits = LIMITS
) -> tuple[Change, int | None]:
    """Find the moment at which acceptance changed most, and test whether it did.

    Images are ordered by their first annotation, those of one moment in random order. More than
    `MOST_BLOCKS` of them are permuted in blocks of equal numbers, which keeps the level and bounds
    the time; the moment is found among all images.

    Args:
        draws: number of permutations.

    Returns:
        The change without its moment, and the place in `judged.order` of the first image after it;
        None unless p is below 1 - level.
    """
    images = judged.images
    plain = Change(None, None, None, None, images)
    reason = too_few(images, 2 * FEWEST_ON_A_SIDE)
    if reason or judged.order.max() == 0:
        return replace(plain, reason=reason or ONE_TIME), None
    accepted = np.bincount(judged.image, judged.accepted)
    points = np.bincount(judged.image, judged.suggested)
    start = np.full(images, judged.order.max())
    np.minimum.at(start, judged.image, judged.order)
    random = np.random.default_rng(seed)
    order = np.lexsort((random.random(images), start))
    accepted, points, start = accepted[order], points[order], start[order]
    apart = accepted - accepted.sum() / points.sum() * points
    if (np.abs(apart) <= ROUNDING * points.sum()).all():
        return replace(plain, reason=ALL_ALIKE), None
    p = _permutation_p(apart, random, draws)
    if p >= 1 - limits.level:
        return replace(plain, p=p), None
    place = int(_cusum(apart[None], FEWEST_ON_A_SIDE)[0].argmax()) + FEWEST_ON_A_SIDE
    before, after = (
        share(accepted[side], points[side], limits)
        for side in (slice(None, place), slice(place, None))
    )
    return replace(plain, p=p, before=before, after=after), int(start[place])


def _permutation_p(apart: Floats, random: np.random.Generator, draws: int) -> float:
    """Return the share of orders of the images with as large a CUSUM as this one."""
    size = -(-len(apart) // MOST_BLOCKS)
    blocks = np.add.reduceat(apart, np.arange(0, len(apart), size))
    fewest = -(-FEWEST_ON_A_SIDE // size)
    observed = float(_cusum(blocks[None], fewest).max())
    permuted = random.permuted(np.tile(blocks, (draws, 1)), axis=1)
    as_large = _cusum(permuted, fewest).max(axis=1) >= observed * (1 - ROUNDING)
    return float(1 + np.count_nonzero(as_large)) / (draws + 1)


def _cusum(apart: Floats, fewest: int) -> Floats:
    """Return |Σ of the first c| / √(c·(m - c)) of each row, for all c with `fewest` on each side.

    Args:
        apart: (rows, m): each image's accepted points less those expected.

    Returns:
        (rows, m - 2 · fewest + 1).
    """
    count = apart.shape[1]
    cuts = np.arange(fewest, count - fewest + 1)
    sums = np.cumsum(apart, axis=1)[:, cuts - 1]
    return np.asarray(np.abs(sums) / np.sqrt(cuts * (count - cuts)))
