"""From heat maps and votes to one place a label, and the figures that say how sure it is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.naming.features import ExampleFeatures
from model.naming.grid import bumps, peak, sample
from model.naming.knowledge import HeatMaps, Knowledge, heat_maps
from model.naming.layouts import ANYWHERE, FEW, IN_BOX, IN_BOX_BY_FEW, VOTE_SIGMA, vote

# Evidence at a place that somebody has set, against about 1 at the surest found place.
GIVEN = 3.0

FIGURES = ("similarity", "regression", "votes here", "seen in votes", "seen before", "lead", "fit")


@dataclass(frozen=True, eq=False)
class Found:
    """The place of each label in one image.

    Attributes:
        places: (L, 2) unit coordinates; NaN for a label without any example.
        figures: (L, len(FIGURES)): similarity, regression and density of the votes at the place;
            share of the votes in which the label is visible; share of the examples in which it is;
            lead over the best other place; fit of the best layout.
    """

    places: NDArray[np.float64]
    figures: NDArray[np.float64]


def find(
    known: Knowledge,
    features: ExampleFeatures,
    given: Mapping[str, tuple[float, float]] | None = None,
) -> Found:
    """Find every label in an image.

    Args:
        given: label → x and y, px, of points that are already placed: the layouts are fitted to
            them, and they stay where they are.
    """
    heat = heat_maps(known, features)
    evidence = heat.total
    fixed = _given_places(known, features, given or {})
    here = np.isfinite(fixed[:, 0])
    evidence[here] = GIVEN * bumps(fixed[here], evidence.shape[-1], VOTE_SIGMA)
    in_box = IN_BOX if len(known.layouts) > FEW else IN_BOX_BY_FEW
    search = in_box if features.frame.boxed else ANYWHERE
    votes = vote(evidence, known.layouts, search)
    # How well layouts fit where nothing is given, as where the scores were learnt.
    unaided = vote(heat.total, known.layouts, search) if here.any() else votes
    total = votes.added_to(evidence)
    places = np.array([peak(each) for each in total]).reshape(-1, 2)
    places[here] = fixed[here]
    seen = np.isfinite(known.layouts[:, :, 0])
    places[~seen.any(axis=0) & ~here] = np.nan
    figures = _at_places(heat, votes.places, places)
    prior = (seen.sum(axis=0) + 0.5) / (known.decided.sum(axis=0) + 1.0)
    lead = _leads(total, places)
    fit = np.full(len(places), unaided.fit)
    return Found(places, np.column_stack([figures, votes.visible, prior, lead, fit]))


def _given_places(
    known: Knowledge, features: ExampleFeatures, given: Mapping[str, tuple[float, float]]
) -> NDArray[np.float64]:
    """Return (L, 2) unit coordinates; NaN where nothing is given."""
    nowhere = (np.nan, np.nan)
    points = np.array([given.get(label, nowhere) for label in known.labels], np.float64)
    return features.frame.to_unit(points.reshape(-1, 2))


def _at_places(
    heat: HeatMaps, density: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (L, 3): similarity, regression and density at each label's place."""
    maps = np.stack([heat.similarity, heat.regression, density], axis=-1).astype(np.float32)
    rows = [sample(each, place[None])[0] for each, place in zip(maps, places, strict=True)]
    return np.array(rows, np.float64).reshape(-1, 3)


def _leads(total: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (L,) by how much the best place beats the best one away from it."""
    away = 1 - np.minimum(1, 2 * bumps(places, total.shape[-1], 1.5 * VOTE_SIGMA))
    best = total.max(axis=(1, 2))
    other = np.where(away > 0, total, -np.inf).max(axis=(1, 2))
    return np.asarray(best - other)
