"""The metrics of one method on one image."""

import math
from collections.abc import Mapping

import numpy as np

from model.keypoint import Box, centre_to_edge
from studies.evaluation import metrics
from studies.evaluation.chance import chance_precision
from studies.evaluation.datasets import Annotated
from studies.evaluation.rankings import Points, Ranking

NMS_RADIUS = 0.03  # of the longer side of the object's box, for every method
BUDGETS = (10, 20, 40)
RADII = (0.02, 0.03, 0.05, 0.10)
SOURCE_RADIUS = 0.20  # the poster's, at which chance alone hits nearly always
BUDGET = 20
RADIUS = 0.05
POSTERS_SHARE = 0.4

# The figure on which every conclusion rests, declared before anything was measured.
PRIMARY = "P@20 0.05"


def chances(image: Annotated, area: Box) -> dict[float, float]:
    """Return the precision of points spread evenly over `area`, by radius.

    Args:
        area: where the methods look.
    """
    return {
        radius: chance_precision(image.landmarks, area, radius * image.length)
        for radius in (*RADII, SOURCE_RADIUS)
    }


def row(image: Annotated, chances: Mapping[float, float], ranking: Ranking) -> Mapping[str, float]:
    """Compute every metric of a ranking on an image.

    Args:
        chances: from `chances`.

    Returns:
        Metric → value. "P@20 0.05" is the precision of the best 20 points at a radius of 0.05 of
        the box's longer side; coverage, F1, skill and AP are those of the best 20 points.
    """
    distance = NMS_RADIUS * image.length
    points = ranking(max(BUDGETS), distance)
    best = ranking(BUDGET, distance)
    values = {}
    for radius, chance in chances.items():
        reach = radius * image.length
        share = metrics.precision(best, image.landmarks, reach, BUDGET)
        label = f"{radius:.2f}"
        values[f"chance {label}"] = chance
        values[f"P@20 {label}"] = share
        if radius == SOURCE_RADIUS:
            continue
        for budget in BUDGETS:
            if budget != BUDGET:
                found = points if budget == max(BUDGETS) else ranking(budget, distance)
                values[f"P@{budget} {label}"] = metrics.precision(
                    found, image.landmarks, reach, budget
                )
        values[f"coverage {label}"] = metrics.coverage(best, image.landmarks, reach)
        values[f"F1 {label}"] = metrics.one_to_one_f1(best, image.landmarks, reach, BUDGET)
        values[f"skill {label}"] = metrics.skill(share, chance)
        values[f"AP {label}"] = metrics.average_precision(best, image.landmarks, reach)
    values["on object"] = float(inside(best, image.box).sum() / BUDGET)
    values["P@40% 0.05"] = _posters_rule(image, ranking, distance)
    return values


def _posters_rule(image: Annotated, ranking: Ranking, distance: float) -> float:
    """Return the precision of the best 40 % of all peaks; NaN for a method without a map."""
    if not hasattr(ranking, "values"):
        return math.nan
    peaks = ranking(10**6, distance)
    kept = peaks[: math.ceil(POSTERS_SHARE * len(peaks))]
    if len(kept) == 0:
        return 0.0
    return metrics.precision(kept, image.landmarks, RADIUS * image.length, len(kept))


def inside(points: Points, box: Box) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return for each point (N, 2) whether it lies in the box, borders included."""
    from_corner = centre_to_edge(points) - [box.left, box.top]
    return np.asarray(((from_corner >= 0) & (from_corner <= [box.width, box.height])).all(axis=1))
