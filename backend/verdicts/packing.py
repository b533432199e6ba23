"""Pack the verdicts about an annotation's points into one value of the database, for figures.

A million verdicts then take only about fifty thousand rows to read. The values repeat the rows of
the table of verdicts, and are never changed either.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.verdicts.judging import VERDICTS, Verdict

POSITIONS = ("suggested_x", "suggested_y", "final_x", "final_y")
# Labels are indices into the annotation's own list; -1 stands for no label, object, flag or number.
POINT = np.dtype(
    [
        ("verdict", "<i1"),
        ("suggested_label", "<i2"),
        ("final_label", "<i2"),
        ("score", "<f8"),
        ("displacement", "<f8"),
        ("length", "<f8"),
        ("area", "<f8"),
        ("object", "<i4"),
        ("suggested_hit", "<i1"),
        ("final_hit", "<i1"),
        ("number", "<i4"),
        *((name, "<f8") for name in POSITIONS),
    ]
)
# Begins a value that is not empty. Before positions were kept, values began with a verdict instead.
MARK = b"\xff"
# The same with labels as indices into the labels of all annotations.
WIDE = np.dtype(
    [
        (name, "<i8" if name.endswith("_label") else kind)
        for name, kind in ((name, POINT[name]) for name in POINT.names or ())
    ]
)


def pack(verdicts: Iterable[Verdict]) -> tuple[bytes, list[str]]:
    """Return the packed verdicts about points, and the labels that occur in them."""
    labels: dict[str | None, int] = {None: -1}
    rows = []
    for each in verdicts:
        if each.kind != "point":
            continue
        for label in (each.suggested_label, each.final_label):
            labels.setdefault(label, len(labels) - 1)
        rows.append(
            (
                VERDICTS.index(each.verdict),
                labels[each.suggested_label],
                labels[each.final_label],
                _or_nan(each.score),
                _or_nan(each.displacement),
                _or_nan(each.length),
                _or_nan(each.area),
                -1 if each.object is None else each.object,
                -1 if each.suggested_hit is None else each.suggested_hit,
                -1 if each.final_hit is None else each.final_hit,
                -1 if each.number is None else each.number,
                *(_or_nan(getattr(each, name)) for name in POSITIONS),
            )
        )
    names = [label for label in labels if label is not None]
    return (MARK if rows else b"") + np.array(rows, POINT).tobytes(), names


def unpack(
    packed: Sequence[tuple[bytes, Sequence[str]]],
) -> tuple[NDArray[Any], NDArray[np.int64], list[str]]:
    """Unpack the values of many annotations at once.

    Args:
        packed: for each annotation, what `pack` returned.

    Returns:
        The points, as `WIDE`; for each point the index of its annotation in `packed`; and all
        labels, into which the points' labels are indices.
    """
    points = np.frombuffer(b"".join(each[1:] for each, _ in packed), POINT).astype(WIDE)
    sizes = np.array([len(each) // POINT.itemsize for each, _ in packed], np.int64)
    owner = np.repeat(np.arange(len(packed)), sizes)
    names: dict[str, int] = {}
    # Maps local to global indices: the annotations' lists one after the other, each after a -1.
    table: list[int] = []
    starts = []
    for _, labels in packed:
        starts.append(len(table) + 1)
        table.append(-1)
        table.extend([names.setdefault(label, len(names)) for label in labels])
    start, places = np.array(starts, np.int64)[owner], np.array(table, np.int64)
    for side in ("suggested_label", "final_label"):
        points[side] = places[start + points[side]] if len(points) else points[side]
    return points, owner.astype(np.int64), list(names)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
