"""Pair suggestions with final points of the same label.

The hits in the verdict log go by place alone. What they say of one label would depend on what lies
around its points, so the figures of labels pair equal labels only.
"""

from dataclasses import replace

import numpy as np

from backend.agreement.columns import Flags, Integers, VerdictColumns


def label_hits(columns: VerdictColumns, near: float) -> tuple[Flags, Flags]:
    """Find suggestions and final points with a partner of the same label near them, one to one.

    A suggestion that was kept is paired with the point that it became; then the nearest of the
    others are paired, within the same object.

    Args:
        near: share of the longer side of the object, else of the image.

    Returns:
        For each verdict, whether its suggestion and whether its final point has a partner.
    """
    radius = near * columns.longer_side
    kept = columns.suggested & columns.final & (columns.suggested_label == columns.final_label)
    suggested_hit = kept & (columns.displacement <= radius)
    final_hit = suggested_hit.copy()
    one, other = _pairs(
        columns,
        np.flatnonzero(columns.suggested & ~suggested_hit),
        np.flatnonzero(columns.final & ~final_hit),
    )
    distance = np.hypot(
        columns.suggested_x[one] - columns.final_x[other],
        columns.suggested_y[one] - columns.final_y[other],
    )
    order = np.argsort(distance, kind="stable")
    for place in order[distance[order] <= radius[other[order]]].tolist():
        if not suggested_hit[one[place]] and not final_hit[other[place]]:
            suggested_hit[one[place]] = final_hit[other[place]] = True
    return suggested_hit, final_hit


def about_label(columns: VerdictColumns, label: str, near: float) -> VerdictColumns:
    """Return the verdicts about one label, whose hits are those with points of that label."""
    suggested_hit, final_hit = label_hits(columns, near)
    matched = replace(columns, suggested_hit=suggested_hit, final_hit=final_hit)
    return matched.counting(label)


def _pairs(
    columns: VerdictColumns, suggested: Integers, final: Integers
) -> tuple[Integers, Integers]:
    """Return every suggestion with every final point of its annotation, object and label.

    Args:
        suggested, final: places of the verdicts.
    """
    labels, objects = len(columns.labels) + 1, int(columns.object.max(initial=-1)) + 2
    home = (columns.annotation * objects + columns.object + 1) * labels
    of_suggested = home[suggested] + columns.suggested_label[suggested]
    of_final = home[final] + columns.final_label[final]
    order = np.argsort(of_final, kind="stable")
    first = np.searchsorted(of_final[order], of_suggested, side="left")
    count = np.searchsorted(of_final[order], of_suggested, side="right") - first
    one = np.repeat(np.arange(len(suggested)), count)
    within = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
    return suggested[one], final[order[first[one] + within]]
