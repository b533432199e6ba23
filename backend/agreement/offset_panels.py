"""The drawing of systematic offsets: a small panel for each annotator and label."""

import math
from collections.abc import Sequence
from typing import Any

from backend.agreement.limits import LIMITS
from backend.agreement.offsets import Offset

MOST_PANELS = 12
COLUMNS = 4
PANEL = 2.35  # side of a panel, inches
WITHOUT, WITH, MARK, ZERO = "#2f6fb3", "#d98b2b", "#22303c", "#9aa3ad"
LONGEST_TITLE = 24


def drawn_offsets(offsets: Sequence[Offset]) -> list[Offset]:
    """Return the offsets that are drawn: those with an ellipse that rest on the most points."""
    return [each for each in offsets if each.ellipse is not None][:MOST_PANELS]


def panels_size(offsets: Sequence[Offset]) -> tuple[float, float]:
    """Return width and height of the drawing, inches."""
    return COLUMNS * PANEL, math.ceil(len(offsets) / COLUMNS) * (PANEL + 0.25)


def draw_offsets(figure: Any, offsets: Sequence[Offset]) -> None:
    """Draw mean and ellipse of each offset around 0, all on one scale, in % of the longer side."""
    from matplotlib.patches import Ellipse

    reach = 115 * max(
        math.hypot(each.x, each.y) + each.ellipse.major for each in offsets if each.ellipse
    )
    rows = math.ceil(len(offsets) / COLUMNS)
    grid = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True, sharey=True)
    axes = list(grid.flat)
    for each, at in zip(offsets, axes, strict=False):
        assert each.ellipse is not None  # `drawn_offsets` leaves others out
        differs = each.p_holm is not None and each.p_holm < 1 - LIMITS.level
        colour = WITH if differs else WITHOUT
        width, height = 200 * each.ellipse.major, 200 * each.ellipse.minor
        middle = (100 * each.x, 100 * each.y)
        ellipse = Ellipse(
            middle, width, height, angle=each.ellipse.angle, fc=colour, ec=colour, alpha=0.35
        )
        at.axhline(0, color=ZERO, linewidth=0.8)
        at.axvline(0, color=ZERO, linewidth=0.8)
        at.add_patch(ellipse)
        at.annotate("", middle, (0, 0), arrowprops={"arrowstyle": "->", "color": MARK})
        # y of an image points downwards.
        at.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal")
        at.set_title(_title(each) + (" *" if differs else ""), fontsize=9)
    for at in axes[len(offsets) :]:
        at.set_visible(False)
    figure.supxlabel("% of the longer side, to the right", fontsize=9)
    figure.supylabel("% of the longer side, downwards", fontsize=9)


def _title(offset: Offset) -> str:
    text = f"{offset.annotator}, {' '.join(offset.label.split()) or '(no label)'}"
    return text if len(text) <= LONGEST_TITLE else f"{text[: LONGEST_TITLE - 1]}…"
