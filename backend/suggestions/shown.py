"""Which of the points that were found are shown to annotators: those expected to save work."""

import math
from collections.abc import Iterable
from dataclasses import replace

from backend.labelstudio.label_config import KeypointControl
from backend.settings import Suggest
from model.keypoint import Detection, NamedKeypoint

# Time that an annotator takes, s.
DRAW_SECONDS = 3.4  # a new point with its label
LOOK_SECONDS = 0.8
DRAG_SECONDS = 2.2
DELETE_SECONDS = 1.3
# Of the points without a name, the best are right often enough to be worth a look; see
# docs/learning.md.
PAYING_SHARE = 0.4


def shown_points(
    detection: Detection, control: KeypointControl, default_label: str | None, suggest: Suggest
) -> Detection:
    """Return a detection whose keypoints are those to show: landmarks first, each best first.

    Args:
        default_label: see `Settings.default_label`.
    """
    if suggest == "always":
        named = _best_first(detection.named)
        return replace(detection, keypoints=(*named, *detection.keypoints))
    if detection.named or suggest == "learnt":
        worthwhile = [point for point in detection.named if is_worth_showing(point)]
        return replace(detection, keypoints=tuple(_best_first(worthwhile)))
    if not is_label_known(control, detection.class_name, default_label):
        return replace(detection, keypoints=())
    count = math.ceil(PAYING_SHARE * len(detection.keypoints))
    return replace(detection, keypoints=detection.keypoints[:count])


def is_label_known(control: KeypointControl, class_name: str, default_label: str | None) -> bool:
    """Return whether the class tells the label of every point, so that none has to be relabelled.

    So it is if points have no label or the only one, if the class is a label, or if the settings
    name the label to use.
    """
    if len(control.labels) <= 1:
        return True
    names = [name for name in (class_name, default_label) if name]
    return any(control.find_label(name) is not None for name in names)


def is_worth_showing(point: NamedKeypoint) -> bool:
    """Return whether showing a landmark is expected to take less time than drawing it.

    Shown, it has to be looked at, and dragged if it lies elsewhere or deleted if it is not visible.
    """
    elsewhere, absent = max(0.0, point.visible - point.score), 1 - point.visible
    shown = LOOK_SECONDS + elsewhere * DRAG_SECONDS + absent * DELETE_SECONDS
    return shown < point.visible * DRAW_SECONDS


def _best_first(points: Iterable[NamedKeypoint]) -> list[NamedKeypoint]:
    return sorted(points, key=lambda point: point.score, reverse=True)
