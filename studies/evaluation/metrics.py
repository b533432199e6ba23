"""How near detections come to landmarks. Pure functions of points; lengths in one unit, any.

All of them scale: when detections, landmarks and radius are doubled, nothing changes. "Hit" means
within the radius of a landmark, the border included.
"""

import numpy as np
from numpy.typing import NDArray

from model.matching import match_points

Points = NDArray[np.float64]


def distances(detections: Points, landmarks: Points) -> NDArray[np.float64]:
    """(N, M) distances between points (N, 2) and (M, 2)."""
    return np.asarray(np.linalg.norm(detections[:, None] - landmarks[None], axis=2))


def precision(detections: Points, landmarks: Points, radius: float, slots: int) -> float:
    """Share of the slots that hold a detection near a landmark.

    Args:
        detections: (N, 2), at most `slots` of them; a slot without one counts as a miss.
        landmarks: (M, 2), M at least 1.

    Raises:
        ValueError: there are more detections than slots, or no slots.
    """
    if slots < 1 or len(detections) > slots:
        raise ValueError(f"expected at most {slots} detections, got {len(detections)}")
    hits = (distances(detections, landmarks) <= radius).any(axis=1)
    return float(hits.sum() / slots)


def coverage(detections: Points, landmarks: Points, radius: float) -> float:
    """Share of the landmarks (M, 2), M at least 1, that have a detection near them."""
    return float((distances(detections, landmarks) <= radius).any(axis=0).mean())


def one_to_one_f1(detections: Points, landmarks: Points, radius: float, slots: int) -> float:
    """2 · pairs / (slots + landmarks), each point in one pair at most, as many pairs as possible.

    Source: Kuhn, "The Hungarian method for the assignment problem", 1955.
    """
    pairs = match_points(detections, landmarks, radius)
    return 2 * len(pairs) / (slots + len(landmarks))


def skill(precision: float, chance: float) -> float:
    """(P - P₀) / (1 - P₀): 0 for points spread evenly, 1 where every point is right.

    Where chance is 1 nothing can be told, and the skill is 0.
    """
    return (precision - chance) / (1 - chance) if chance < 1 else 0.0


def average_precision(detections: Points, landmarks: Points, radius: float) -> float:
    """Area under the ranking's precision over recall, not interpolated.

    From the best detection down, each takes the nearest landmark within the radius that is still
    free; one that finds none is wrong. The precision at each right one is summed up and divided by
    the number of landmarks.

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
    """Share of the slots whose points are found again: one-to-one pairs within the radius.

    Args:
        first: (N, 2), found on an image.
        second: (M, 2), found on a changed copy of it and brought back to its coordinates.
    """
    return len(match_points(first, second, radius)) / slots


def mutual_nearest(detections: Points, landmarks: Points, radius: float) -> NDArray[np.int64]:
    """Pairs (P, 2) of indices of points that are each other's nearest and within the radius."""
    if len(detections) == 0 or len(landmarks) == 0:
        return np.empty((0, 2), np.int64)
    distance = distances(detections, landmarks)
    nearest_landmark = distance.argmin(axis=1)
    nearest_detection = distance.argmin(axis=0)
    chosen = np.arange(len(detections))
    mutual = nearest_detection[nearest_landmark] == chosen
    mutual &= distance[chosen, nearest_landmark] <= radius
    return np.stack([chosen[mutual], nearest_landmark[mutual]], axis=1).astype(np.int64)
