"""Pack the verdicts about an annotation's points into one value of the database, for figures.

A million verdicts then take only about fifty thousand rows to read. The values repeat the rows of
the table of verdicts, and are never changed either.
"""

from array import array
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


class PackedPoints:
    """The packed verdicts of many annotations in one buffer, to be unpacked at once."""

    def __init__(self) -> None:
        self._rows = bytearray()
        self._sizes: list[int] = []
        self._names: dict[str, int] = {}
        # Lists of labels as indices into all labels, each list after a -1.
        self._places = array("i")
        self._known: dict[tuple[str, ...], int] = {}  # where each list begins
        self._starts = array("q")  # where that of each annotation begins

    @classmethod
    def of(cls, packed: "PackedPoints | Iterable[tuple[bytes, Sequence[str]]]") -> "PackedPoints":
        """Join what `pack` returned for each annotation, unless that is done."""
        if isinstance(packed, PackedPoints):
            return packed
        found = cls()
        for each in packed:
            found.append(*each)
        return found

    def append(self, packed: bytes, labels: Sequence[str]) -> None:
        """Add the next annotation: what `pack` returned."""
        self._rows += memoryview(packed)[len(MARK) :]
        self._sizes.append(len(packed) // POINT.itemsize)
        listed = tuple(labels)
        if listed not in self._known:
            self._places.append(-1)
            self._known[listed] = len(self._places)
            self._places.extend(self._names.setdefault(each, len(self._names)) for each in listed)
        self._starts.append(self._known[listed])

    def unpack(
        self, order: NDArray[np.int64] | None = None
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64], list[str]]:
        """Unpack all of them.

        Args:
            order: in which to put the annotations, their places from 0; None for that of adding.

        Returns:
            A column of each field of `POINT`; for each point the place of its annotation in that
            order; and all labels, into which the label columns are indices.
        """
        order = np.arange(len(self._sizes)) if order is None else order
        of_annotation = np.array(self._sizes, np.int64)
        first = np.cumsum(of_annotation) - of_annotation  # row of each annotation
        sizes = of_annotation[order]
        owner = np.repeat(np.arange(len(sizes)), sizes)
        rows = np.frombuffer(self._rows, POINT)
        if (order == np.arange(len(order))).all():
            points = {name: np.ascontiguousarray(rows[name]) for name in POINT.names or ()}
        else:
            place = np.arange(len(rows)) + np.repeat(first[order] - np.cumsum(sizes) + sizes, sizes)
            points = {name: rows[name][place] for name in POINT.names or ()}
        places = np.array(self._places, np.int32)
        of_point = np.array(self._starts, np.int64)[order][owner]
        for side in ("suggested_label", "final_label"):
            points[side] = places[of_point + points[side]]
        return points, owner.astype(np.int64), list(self._names)


def unpack(
    packed: Iterable[tuple[bytes, Sequence[str]]],
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64], list[str]]:
    """Unpack the values of many annotations at once; see `PackedPoints.unpack`.

    Args:
        packed: for each annotation, what `pack` returned.
    """
    return PackedPoints.of(packed).unpack()


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
