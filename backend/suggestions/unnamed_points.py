"""The points of the class evidence of several objects on one image: a set for each rectangle."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from backend.suggestions.drawing import is_inside
from model.keypoint import Box, Detection, Keypoint

logger = logging.getLogger(__name__)


def detect_in_others(
    detect: Callable[[Box], Detection], first: Detection, boxes: Sequence[Box]
) -> Detection:
    """Detect in all boxes but the first, and return what is found in all of them; see `merged`.

    Args:
        detect: returns the points in a box.
        first: what was found in the first box.
        boxes: one or more. Those that the detector rejects, such as tiny ones, are left out.
    """
    found, used = [first], [boxes[0]]
    for box in boxes[1:]:
        try:
            detection = detect(box)
        except ValueError as error:
            logger.info("No points are looked for in a further rectangle: %s", error)
        else:
            found.append(detection)
            used.append(box)
    return merged(found, used)


def merged(detections: Sequence[Detection], boxes: Sequence[Box]) -> Detection:
    """Return the detections in the boxes of one image as one: the first, with the points of all.

    A point where boxes overlap belongs to the first of them, so that no two are at one place.

    Args:
        detections: one for each of `boxes`.

    Returns:
        Its candidates begin with its keypoints; both are best first.
    """
    shown, rest = [], []
    for number, detection in enumerate(detections):
        before = boxes[:number]
        own = [each for each in detection.keypoints if not _is_in_any(before, each)]
        known = set(own)
        shown += own
        rest += [
            each
            for each in detection.candidates
            if each not in known and not _is_in_any(before, each)
        ]
    keypoints = _best_first(shown)
    return replace(detections[0], keypoints=keypoints, candidates=(*keypoints, *_best_first(rest)))


def points_of_each(
    points: Sequence[Keypoint], boxes: Sequence[Box]
) -> list[tuple[int | None, tuple[Keypoint, ...]]]:
    """Return the number of each box with its points, best first; None without boxes.

    Args:
        points: of one or of several detections; those that lie in no box belong to the first.
    """
    if not boxes:
        return [(None, tuple(points))]
    groups: list[list[Keypoint]] = [[] for _ in boxes]
    for point in points:
        around = (number for number, box in enumerate(boxes) if is_inside(box, point.x, point.y))
        groups[next(around, 0)].append(point)
    return [(number, _best_first(group)) for number, group in enumerate(groups)]


def _is_in_any(boxes: Sequence[Box], point: Keypoint) -> bool:
    return any(is_inside(box, point.x, point.y) for box in boxes)


def _best_first(points: Sequence[Keypoint]) -> tuple[Keypoint, ...]:
    return tuple(sorted(points, key=lambda point: point.score, reverse=True))
