"""What annotators usually choose as the visibility of each label's point.

Choosing nothing is a choice as well: in a project that marks occluded points alone, a visible one
has no choice. A suggested choice that is right saves choosing it; one where nothing would have been
chosen has to be taken back; and one in the place of the other is changed, as nothing would have
been. So a choice saves work where it is made more often than none, which is sure where it is made
for more than half of the points.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from model.keypoint import Visibility

Z = 1.959964  # of an interval of 95 %


def usual_visibility(
    examples: Iterable[tuple[Collection[str], Mapping[str, Visibility]]],
) -> dict[str, Visibility]:
    """Return each label whose points surely have one visibility in more than half of the cases.

    Surely: the lower end of Wilson's 95 % interval of its share is above one half, so that at least
    four points with the label are needed.

    Args:
        examples: of each object the labels of its points, and label → what was chosen for it.

    Source: Wilson, JASA 22 (1927) 209-212.
    """
    points: Counter[str] = Counter()
    chosen: Counter[tuple[str, Visibility]] = Counter()
    for labels, visibility in examples:
        points.update(list(labels))  # of a mapping the keys
        chosen.update((label, each) for label, each in visibility.items() if label in labels)
    return {
        label: visibility
        for (label, visibility), count in chosen.items()
        if wilson_lower(count, points[label]) > 0.5
    }


def wilson_lower(count: int, total: int) -> float:
    """Return the lower end of Wilson's 95 % interval of a share.

    >>> round(wilson_lower(4, 4), 3), round(wilson_lower(3, 3), 3)
    (0.51, 0.439)
    """
    share, square = count / total, Z * Z
    spread = Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return (share + square / (2 * total) - spread) / (1 + square / total)
