"""Metrics of detections against landmarks: pure functions of points, in any unit of length.

They do not depend on scale: doubling detections, landmarks and radius changes nothing. A hit lies
within the radius of a landmark, border included.
"""

import numpy as np
from numpy.typing import NDArray

from model.matching import match_points

Points = NDArray[np.float64]


def distances(detections: Points, landmarks: Points) -> NDArray[np.float64]:
    """Return the distances (N, M) between points (N, 2) and (M, 2)."""
    return np.asarray(np.linalg.norm(detections[:, None] - landmarks[None], axis=2))


def precision(detections: Points, landmarks: Points, radius: float, slots: int) -> float:
    """Return the share of the slots that hold a hit.

    Args:
        detections: (N, 2), N <= `slots`; a slot without a detection counts as a miss.
        landmarks: (M, 2), M at least 1.

    Raises:
        ValueError: there are more detections than slots, or no slots.
    """
    if slots < 1 or len(detections) > slots:
        raise ValueError(f"expected at most {slots} detections, got {len(detections)}")
    hits = (distances(detections, landmarks) <= radius).any(axis=1)
    return float(hits.sum() / slots)


def coverage(detections: Points, landmarks: Points, radius: float) -> float:
    """Return the share of the landmarks (M, 2), M at least 1, with a detection in the radius."""
    return float((distances(detections, landmarks) <= radius).any(axis=0).mean())


def one_to_one_f1(detections: Points, landmarks: Points, radius: float, slots: int) -> float:
    """Return 2 · pairs / (slots + landmarks), for the largest one-to-one matching.

    Source: Kuhn, "The Hungarian method for the assignment problem", 1955.
    """
    pairs = match_points(detections, landmarks, radius)
    return 2 * len(pairs) / (slots + len(landmarks))


def skill(precision: float, chance: float) -> float:
    """Return (P - P₀) / (1 - P₀): 0 for evenly spread points, 1 if every point is a hit.

    If chance is 1, the skill is undefined and returned as 0.
    """
    return (precision - chance) / (1 - chance) if chance < 1 else 0.0


def average_precision(detections: Points, landmarks: Points, radius: float) -> float:
    """Return the area under the curve of precision over recall, without interpolation.

    From the best detection down, each takes the nearest landmark in the radius that is still free,
    and is wrong if there is none. The precisions at the right ones are summed and divided by the
    number of landmarks.

    Args:
        detections: (N, 2), best first.
        landmarks: (M, 2), M at least 1.

    Source: the VOC challenge, Everingham et al., IJCV 2010, with points in place of boxes.
    """
    distance = distances(detections, landmarks)
    free = np.ones(len(landmarks), bool)
    right, total = 0, 0.0
    for rank, row in enumerate(distance, start=1):
        reachable = np.where(free, row, np.inf)
        nearest = int(reachable.argmin())
        if reachable[nearest] <= radius:
            free[nearest] = False
            right += 1
            total += right / rank
    return total / len(landmarks)


def repeated_share(first: Points, second: Points, radius: float, slots: int) -> float:
    """Return one-to-one pairs within the radius, as a share of the slots.

    Args:
        first: (N, 2), points on an image.
        second: (M, 2), points on a changed copy, in the coordinates of the image.
    """
    return len(match_points(first, second, radius)) / slots


def mutual_nearest(detections: Points, landmarks: Points, radius: float) -> NDArray[np.int64]:
    """Return pairs of indices (P, 2): mutual nearest neighbours within the radius."""
    if len(detections) == 0 or len(landmarks) == 0:
        return np.empty((0, 2), np.int64)
    distance = distances(detections, landmarks)
    nearest_landmark = distance.argmin(axis=1)
    nearest_detection = distance.argmin(axis=0)
    chosen = np.arange(len(detections))
    mutual = nearest_detection[nearest_landmark] == chosen
    mutual &= distance[chosen, nearest_landmark] <= radius
    return np.stack([chosen[mutual], nearest_landmark[mutual]], axis=1).astype(np.int64)
