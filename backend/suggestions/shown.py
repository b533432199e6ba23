"""Which points are shown to annotators: by default those that are expected to save work."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from backend.labelstudio.label_config import KeypointControl
from backend.settings import Suggest
from model.keypoint import Keypoint, NamedKeypoint
from model.naming.worth import STANDARD, worth_showing

# Of the points without a name, the best 40 % are right often enough to be worth a look where their
# label is known; docs/learning.md has the figures.
PAYING_SHARE = 0.4


def landmarks_to_show(
    named: Iterable[NamedKeypoint], suggest: Suggest, measured: Mapping[str, float] | None = None
) -> list[NamedKeypoint]:
    """Return the landmarks to show, best first.

    Args:
        measured: seconds of the actions that lead times tell; the others have standard costs.
    """
    costs = replace(STANDARD, **(measured or {}))
    shown = list(named) if suggest == "always" else worth_showing(named, costs)
    return sorted(shown, key=lambda point: point.score, reverse=True)


def shows_unnamed(suggest: Suggest, named: Sequence[NamedKeypoint]) -> bool:
    """Return whether points without a name may be shown, given the landmarks that were found."""
    return suggest == "always" or (suggest == "worthwhile" and not named)


def best_share(points: Sequence[Keypoint]) -> Sequence[Keypoint]:
    """Return those of the points without a name that are worth a look.

    Args:
        points: best first.
    """
    return points[: math.ceil(PAYING_SHARE * len(points))]


def is_label_known(control: KeypointControl, class_name: str, default_label: str | None) -> bool:
    """Return whether the class tells the label of every point, so that none has to be relabelled.

    So it does if points have no label or there is only one, if the class is a label, or if the
    settings name the label to use.
    """
    if len(control.labels) <= 1:
        return True
    names = [name for name in (class_name, default_label) if name]
    return any(control.find_label(name) is not None for name in names)
