"""Where the layouts of the examples, laid over the evidence, place each label."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.naming.grid import bumps

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Search:
    """How layouts are varied.

    Attributes:
        scales: factors around the frame's centre.
        rotations: degrees.
        shifts: along either axis, unit coordinates.
        most: layouts that are tried; of more, as many at even steps. Fewer where they have more
            than 15 labels, so that the time is bounded.
    """

    scales: tuple[float, ...] = (0.85, 1.0, 1.18)
    rotations: tuple[float, ...] = (-15.0, 0.0, 15.0)
    shifts: tuple[float, ...] = (-0.08, -0.04, 0.0, 0.04, 0.08)
    most: int = 400


# For the object's box; the same with few layouts, which differ less than the objects do; and for a
# whole image with the object anywhere.
IN_BOX = Search()
IN_BOX_BY_FEW = Search(
    scales=(0.72, 0.85, 1.0, 1.18, 1.38),
    rotations=(-30.0, -15.0, 0.0, 15.0, 30.0),
    shifts=(-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12),
)
FEW = 10
ANYWHERE = Search(
    scales=(0.6, 0.8, 1.0, 1.25, 1.6),
    shifts=tuple(np.linspace(-0.4, 0.4, 11).tolist()),
    most=60,
)

FEWEST_LAYOUTS = 10  # tried, however many labels they have
VOTERS = 20
TEMPERATURE = 0.3  # of the softmax over the voters' fits
VOTE_SIGMA = 0.042  # of the Gaussian around each vote, unit coordinates
VOTE_WEIGHT = 0.07  # of the logarithm of the votes, beside the evidence
VOTE_FLOOR = 1e-2
VARIATION = 0.2  # loss of fit for the outermost scale, rotation or shift, growing with its square
OUTSIDE = -0.3  # fit of a point outside the frame
# A label's evidence counts from this quantile of it on.
BASELINE = 0.9


@dataclass(frozen=True, eq=False)
class Votes:
    """What the best layouts say.

    Attributes:
        places: (L, grid, grid), density of the votes for where each label is; at most 1.
        visible: (L,), share of the votes, by weight, in which the label has a point.
        fit: mean evidence above the baseline at the points of the best layout.
    """

    places: Floats
    visible: Floats
    fit: float

    def added_to(self, evidence: Floats) -> Floats:
        """Return (L, grid, grid) evidence and votes together."""
        voted = VOTE_WEIGHT * np.log(self.places + VOTE_FLOOR)
        return evidence + np.where(self.visible[:, None, None] > 0, voted, 0)


def vote(evidence: Floats, layouts: Floats, search: Search) -> Votes:
    """Fit the layouts to the evidence, and let the best vote.

    A layout fits by the sum, over its points, of the evidence there above the label's baseline.

    Args:
        evidence: (L, grid, grid).
        layouts: (V, L, 2) unit coordinates; NaN where a label has no point.
        search: how they are varied.
    """
    labels, grid, _ = evidence.shape
    layouts = layouts[np.isfinite(layouts).any(axis=(1, 2))]
    if not len(layouts):
        return Votes(np.zeros_like(evidence), np.zeros(labels), 0.0)
    layouts = _spread(layouts, search)
    flat = evidence.reshape(labels, -1)
    gain = flat - np.quantile(flat, BASELINE, axis=1)[:, None]
    tried = _variants(layouts, search)
    fits = _fits(gain, tried, grid) - _losses(search, len(layouts))
    best = np.argpartition(fits, -min(VOTERS, len(fits)))[-VOTERS:]
    weights = np.exp((fits[best] - fits[best].max()) / TEMPERATURE)
    weights /= weights.sum()
    visible = np.isfinite(tried[best, :, 0])
    share = weights @ visible
    places = np.zeros_like(evidence)
    for layout, weight in zip(tried[best], weights, strict=True):
        places += weight * bumps(layout, grid, VOTE_SIGMA)
    top = fits.argmax()
    count = np.isfinite(tried[top, :, 0]).sum()
    return Votes(places / np.maximum(share, 1e-6)[:, None, None], share, float(fits[top] / count))


def _spread(layouts: Floats, search: Search) -> Floats:
    """Return as many of (V, L, 2) layouts as are tried, at even steps."""
    count, labels, _ = layouts.shape
    most = min(search.most, max(FEWEST_LAYOUTS, 15 * search.most // labels))
    return layouts if count <= most else layouts[np.arange(most) * count // most]


def _variants(layouts: Floats, search: Search) -> NDArray[np.float32]:
    """Return (N, L, 2), every layout at every scale, rotation and shift."""
    turned = []
    for scale, degrees in itertools.product(search.scales, search.rotations):
        angle = np.deg2rad(degrees)
        turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turned.append((layouts - 0.5) @ turn + 0.5)
    shifts = np.array(list(itertools.product(search.shifts, search.shifts)), np.float32)
    variants = np.stack(turned).astype(np.float32)[:, :, None] + shifts[:, None]
    return np.asarray(variants.reshape(-1, *layouts.shape[1:]), np.float32)


def _losses(search: Search, layouts: int) -> Floats:
    """Return the (N,) losses of fit by scale, rotation and shift, in the order of `_variants`."""
    scales, rotations, shifts = (
        (np.array(part) / np.abs(part).max() if np.any(part) else np.zeros(len(part))) ** 2
        for part in (np.log(search.scales), search.rotations, search.shifts)
    )
    turns = np.add.outer(scales, rotations).reshape(-1, 1, 1)
    moves = np.add.outer(shifts, shifts).reshape(1, 1, -1)
    losses = VARIATION * np.broadcast_to(turns + moves, (turns.size, layouts, moves.size))
    return np.asarray(losses.ravel())


def _fits(gain: Floats, layouts: NDArray[np.float32], grid: int) -> Floats:
    """Return (N,) sums of (L, grid²) gains at the points of (N, L, 2) layouts.

    A border of one cell has the gain of points outside, and one more place that of no point.
    """
    side = grid + 2
    bordered = np.full((len(gain), side, side), OUTSIDE)
    bordered[:, 1:-1, 1:-1] = gain.reshape(-1, grid, grid)
    table = np.zeros((len(gain), side * side + 1))
    table[:, :-1] = bordered.reshape(len(gain), -1)
    has = np.isfinite(layouts[..., 0])
    # From 0 on, where rounding towards zero is rounding down.
    cells = np.clip(np.where(has[..., None], layouts, 0) * grid + 1, 0, grid + 1).astype(np.int32)
    places = np.where(has, cells[..., 1] * side + cells[..., 0], side * side)
    fits = np.zeros(len(layouts))
    for row, place in zip(table, places.T, strict=True):
        fits += row[place]
    return fits
