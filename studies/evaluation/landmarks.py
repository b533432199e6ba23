"""Salient landmarks: those that the detections of a class hit more often than corners do."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.evaluation.datasets import Annotated
from studies.evaluation.metrics import distances, mutual_nearest
from studies.evaluation.rankings import Points
from studies.evaluation.statistics import Interval, ratio_of_rates

RADIUS = 0.03  # of the longer side of the box


@dataclass(frozen=True, slots=True)
class Saliency:
    """Hits of one landmark of one class.

    Attributes:
        visible: number of images that show the landmark.
        hit: number of these in which the landmark and a detection are mutual nearest neighbours
            within `RADIUS`.
        nearest: number of detections whose nearest landmark it is, at any distance: the poster's
            histogram.
        lift: rate of hits, divided by that of the reference at equal N.
    """

    class_name: str
    landmark: str
    visible: int
    hit: int
    nearest: int
    lift: Interval


def salient_landmarks(
    images: Sequence[Annotated],
    found: Sequence[Points],
    reference: Sequence[Points],
    *,
    draws: int,
    seed: int,
) -> list[Saliency]:
    """Return every landmark of every class, sorted by class and rate of hits, highest first.

    Args:
        images: each with at least one landmark.
        found, reference: points (N, 2) of each image, the same number in both.
        draws, seed: draws and seed of the bootstrap.
    """
    hits: dict[tuple[str, str], list[tuple[bool, bool]]] = defaultdict(list)
    nearest: dict[tuple[str, str], int] = defaultdict(int)
    for image, points, others in zip(images, found, reference, strict=True):
        ours, theirs = _hit(image, points), _hit(image, others)
        for index, name in enumerate(image.names):
            hits[image.class_name, name].append((index in ours, index in theirs))
        for index in distances(points, image.landmarks).argmin(axis=1):
            nearest[image.class_name, image.names[index]] += 1
    table = []
    for (class_name, name), pairs in hits.items():
        both = np.array(pairs, np.float64)
        lift = ratio_of_rates(both[:, 0], both[:, 1], draws=draws, seed=seed)
        table.append(
            Saliency(
                class_name, name, len(both), int(both[:, 0].sum()), nearest[class_name, name], lift
            )
        )
    return sorted(table, key=lambda row: (row.class_name, -row.hit / row.visible, row.landmark))


def _hit(image: Annotated, points: Points) -> set[int]:
    pairs = mutual_nearest(points, image.landmarks, RADIUS * image.length)
    return set(pairs[:, 1].tolist())
