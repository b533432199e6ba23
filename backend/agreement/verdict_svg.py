"""Draw marks over an image, as SVG: verdicts, and plain points.

Positions have their origin at the centre of the first pixel, SVG has it at the pixel's corner: see
`centre_to_edge`. Marks have the same size on the page for images of any size.
"""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup
from PIL import Image

from model.keypoint import centre_to_edge

# The colour-blind tell every two of them apart.
MARK_COLOURS = {"added": "#332288", "final": "#35c5f0", "suggested": "#c8453c", "move": "#ffd54a"}
EMPTY = "#eef1f4"  # where the image is missing
FILLED_RADIUS, RING_RADIUS, CROSS_RADIUS = 6, 8, 8  # px of the page

# Draws a mark; its argument is the size of one px of the page, in px of the image.
Mark = Callable[[float], Markup]


def drawing(
    width: float, height: float, image: Image.Image | None, marks: Sequence[Mark], side: int
) -> Markup:
    """Return an SVG picture of an image with marks over it.

    Args:
        width, height: of the original image, px.
        image: the image, at any size; None for an empty frame.
        side: the longer side on the page, px.
    """
    unit = max(width, height) / side
    parts = [
        Markup('<svg viewBox="0 0 {} {}" width="{:.0f}" height="{:.0f}" role="img">').format(
            f"{width:g}", f"{height:g}", width / unit, height / unit
        ),
        Markup('<rect width="100%" height="100%" fill="{}"/>').format(EMPTY),
    ]
    if image is not None:
        parts.append(
            Markup('<image href="{}" width="{}" height="{}" preserveAspectRatio="none"/>').format(
                _data_uri(image), f"{width:g}", f"{height:g}"
            )
        )
    parts += [mark(unit) for mark in marks]
    return Markup("").join([*parts, Markup("</svg>")])


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def verdict_marks(verdicts: Sequence[Any]) -> list[Mark]:
    """Return the marks of an annotation's verdicts; lines come first, so that dots lie over them.

    Args:
        verdicts: rows of the verdict table.
    """
    lines = [_move(row) for row in verdicts if row.verdict.startswith("moved")]
    return [*lines, *[_verdict(row) for row in verdicts]]


def point_mark(x: float, y: float, colour: str) -> Mark:
    """Return a filled dot."""
    return lambda unit: _dot(x, y, unit, colour)


def _move(row: Any) -> Mark:
    """Return the line from the suggested to the final position."""
    ends = (row.suggested_x, row.suggested_y, row.final_x, row.final_y)

    def draw(unit: float) -> Markup:
        numbers = [f"{centre_to_edge(end):.2f}" for end in ends]
        return Markup(
            '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}" stroke-width="{}"/>'
        ).format(*numbers, MARK_COLOURS["move"], f"{2 * unit:.3f}")

    return draw


def _verdict(row: Any) -> Mark:
    def draw(unit: float) -> Markup:
        parts = [Markup("<title>{}</title>").format(_description(row))]
        if row.suggested_x is not None:
            if row.final_x is None:
                parts.append(_cross(row.suggested_x, row.suggested_y, unit))
            elif row.displacement > unit:  # otherwise the dot would hide the ring
                parts.append(_ring(row.suggested_x, row.suggested_y, unit))
        if row.final_x is not None:
            colour = MARK_COLOURS["added" if row.suggested_x is None else "final"]
            parts.append(_dot(row.final_x, row.final_y, unit, colour))
        return Markup("<g>{}</g>").format(Markup("").join(parts))

    return draw


def _description(row: Any) -> str:
    labels = dict.fromkeys(label for label in (row.suggested_label, row.final_label) if label)
    return f"{row.verdict.replace('_', ' ')}: {' → '.join(labels)}"


def _dot(x: float, y: float, unit: float, colour: str) -> Markup:
    return _circle(x, y, FILLED_RADIUS * unit, colour, "#ffffff", 1.5 * unit)


def _ring(x: float, y: float, unit: float) -> Markup:
    return _circle(x, y, RING_RADIUS * unit, "none", MARK_COLOURS["suggested"], 3 * unit)


def _circle(x: float, y: float, radius: float, fill: str, stroke: str, width: float) -> Markup:
    at = f"{centre_to_edge(x):.2f}", f"{centre_to_edge(y):.2f}"
    return Markup(
        '<circle cx="{}" cy="{}" r="{}" fill="{}" stroke="{}" stroke-width="{}"/>'
    ).format(*at, f"{radius:.3f}", fill, stroke, f"{width:.3f}")


def _cross(x: float, y: float, unit: float) -> Markup:
    radius = CROSS_RADIUS * unit
    left, top, side = centre_to_edge(x) - radius, centre_to_edge(y) - radius, f"{2 * radius:.2f}"
    path = f"M{left:.2f} {top:.2f}l{side} {side}m-{side} 0l{side} -{side}"
    return Markup('<path d="{}" stroke="{}" stroke-width="{}" fill="none"/>').format(
        path, MARK_COLOURS["suggested"], f"{4 * unit:.3f}"
    )
