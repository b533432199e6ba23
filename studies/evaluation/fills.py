"""Measure how much an occlusion map depends on the random colours that hide the image."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.detector import Detector
from model.networks import Classifier
from model.settings import DetectorSettings
from studies.evaluation.datasets import Annotated
from studies.evaluation.metrics import repeated_share
from studies.evaluation.rankings import MapRanking
from studies.evaluation.rows import BUDGET, NMS_RADIUS, RADIUS
from studies.evaluation.statistics import Interval, interval_of

DRAWS = 4  # of the random fills, each compared with every other


def spread_over_fills(
    classifier: Classifier,
    settings: DetectorSettings,
    images: Sequence[Annotated],
    pictures: Sequence[NDArray[np.uint8]],
    *,
    draws: int,
    seed: int,
) -> Mapping[str, Interval]:
    """Compare occlusion maps of the same images under different random fills.

    Args:
        settings: detector settings with the occlusion map as coarse scale.
        draws, seed: draws and seed of the bootstrap over images.

    Returns:
        Means over all pairs of fills. "correlation": of two coarse maps, pixel by pixel. "coarse
        points" and "points": share of the 20 best peaks that are found again under the other fill,
        within 0.05 of the box's longer side, on the coarse map and on the fused map.
    """
    detectors = [Detector(classifier, replace(settings, seed=index)) for index in range(DRAWS)]
    rows: dict[str, list[float]] = {"correlation": [], "coarse points": [], "points": []}
    for annotated, picture in zip(images, pictures, strict=True):
        found = [detector.detect(picture, annotated.box) for detector in detectors]
        pairs = list(itertools.combinations(found, 2))
        rows["correlation"].append(
            float(np.mean([_correlation(a.maps["coarse"], b.maps["coarse"]) for a, b in pairs]))
        )
        for name, scale in (("coarse points", "coarse"), ("points", "fused")):
            points = [
                MapRanking(detection.maps[scale], detection.box)(
                    BUDGET, NMS_RADIUS * annotated.length
                )
                for detection in found
            ]
            reach = RADIUS * annotated.length
            shares = [
                repeated_share(first, second, reach, max(1, len(first)))
                for first, second in itertools.permutations(points, 2)
            ]
            rows[name].append(float(np.mean(shares)))
    return {
        name: interval_of(np.array(values), draws=draws, seed=seed) for name, values in rows.items()
    }


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return Pearson's correlation; 1 for equal maps, 0 if only one of the two is flat."""
    if np.array_equal(first, second):
        return 1.0
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
