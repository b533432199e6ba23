"""Salient landmarks: which labels of each class the suggestions find, compared with chance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backend.agreement.as_json import fields_as_json
from backend.agreement.cells import ImageCells
from backend.agreement.chance import share_within
from backend.agreement.clustered import Estimate, ratio, share
from backend.agreement.columns import Flags, Floats, Integers, ShortIntegers, VerdictColumns
from backend.agreement.parameters import AgreementParameters
from model.keypoint import centre_to_edge

Landmark = tuple[str, str]  # class and label
ONE_LABEL = "not known under a filter by label"
BLOCK = 100_000  # points whose chance is computed at a time, for the sake of memory


@dataclass(frozen=True, slots=True)
class LandmarkSide:
    """How often suggestions find a landmark, in annotations with or without suggestions.

    Attributes:
        annotated: number of annotations with at least one final point of that label.
        found: share of these with a suggestion near such a point.
        lift: `found` divided by the share expected from as many points spread evenly.
    """

    annotated: int
    found: Estimate
    lift: Estimate


@dataclass(frozen=True, slots=True)
class LandmarkFigures:
    """A label on objects of one class, where suggestions were shown, and where withheld."""

    class_name: str
    label: str
    shown: LandmarkSide
    withheld: LandmarkSide

    def as_json(self) -> dict[str, Any]:
        """Return the figures of shown suggestions side by side, the others under "withheld"."""
        return {
            "class": self.class_name,
            "label": self.label,
            **fields_as_json(self.shown),
            "withheld": fields_as_json(self.withheld),
        }


@dataclass(frozen=True, slots=True)
class _Units:
    """One row for each label in each annotation, however many points bear it.

    Attributes:
        annotation, label: indices of annotation and label.
        found: whether a suggestion lies near one of its points.
        expected: chance that one would if suggestions were spread evenly.
    """

    annotation: Integers
    label: ShortIntegers
    found: Flags
    expected: Floats


def landmarks(
    shown: VerdictColumns, withheld: VerdictColumns, parameters: AgreementParameters
) -> list[LandmarkFigures]:
    """Compute for each class and label how often an annotated label is among the suggestions.

    `lift` divides this by the frequency expected from as many points spread evenly over the object,
    or over the image where no object is known.
    """
    nothing = LandmarkSide(
        0, share([], [], parameters.limits), ratio([], [], scale="positive", n=0)
    )
    sides = [_of_side(each.newest_states, parameters) for each in (shown, withheld)]
    rows = [
        LandmarkFigures(*name, *(side.get(name, nothing) for side in sides))
        for name in sides[0] | sides[1]
    ]
    rows.sort(key=lambda row: -(row.shown.annotated + row.withheld.annotated))
    return sorted(
        rows[: parameters.most_landmarks],
        key=lambda row: (row.class_name, -(row.shown.found.value or 0.0), row.label),
    )


def without_lift(rows: Sequence[LandmarkFigures]) -> list[LandmarkFigures]:
    """Return figures of one label's points, whose chance of being found they do not tell.

    That chance depends on the suggestions of all labels, which a filter by label leaves out.
    """

    def remove(side: LandmarkSide) -> LandmarkSide:
        lift = replace(side.lift, value=None, low=None, high=None, deff=None, reason=ONE_LABEL)
        return replace(side, lift=lift)

    return [replace(row, shown=remove(row.shown), withheld=remove(row.withheld)) for row in rows]


def _of_side(
    columns: VerdictColumns, parameters: AgreementParameters
) -> dict[Landmark, LandmarkSide]:
    """Compute the figures of the landmarks that are annotated most."""
    if not columns.final.any():
        return {}
    units = _units(columns, parameters.near)
    labels = len(columns.labels)
    names = sorted({each.class_name for each in columns.annotations})
    place = {name: number for number, name in enumerate(names)}
    class_of = np.array([place[each.class_name] for each in columns.annotations])
    both = class_of[units.annotation] * labels + units.label
    pairs, group = np.unique(both, return_inverse=True)  # of a class and a label that occur
    groups = len(pairs)
    image = columns.image[units.annotation]
    cells = ImageCells.of(group, image, groups)
    cell = cells.find(group, image)
    found = cells.sums(cell, units.found.astype(np.float64))
    expected, once = cells.sums(cell, units.expected), cells.sums(cell, None)
    annotated = np.bincount(group, minlength=groups)
    sides = {}
    for each in np.argsort(-annotated, kind="stable")[: parameters.most_landmarks].tolist():
        of, count, limits = cells.of_group(each), int(annotated[each]), parameters.limits
        if count:
            name = names[pairs[each] // labels], columns.labels[pairs[each] % labels]
            sides[name] = LandmarkSide(
                annotated=count,
                found=share(found[of], once[of], limits),
                lift=ratio(found[of], expected[of], scale="positive", n=count, limits=limits),
            )
    return sides


def _units(columns: VerdictColumns, near: float) -> _Units:
    rows = np.flatnonzero(columns.final)
    _, first, unit = np.unique(
        columns.annotation[rows] * len(columns.labels) + columns.final_label[rows],
        return_index=True,
        return_inverse=True,
    )
    missed = np.bincount(unit, _log_missed(columns, rows, near), minlength=len(first))
    found = np.bincount(unit, columns.found[rows], minlength=len(first)) > 0
    chosen = rows[first]
    return _Units(
        annotation=columns.annotation[chosen],
        label=columns.final_label[chosen],
        found=found,
        expected=-np.expm1(missed),
    )


def _log_missed(columns: VerdictColumns, rows: Integers, near: float) -> Floats:
    """Return the logarithm of the chance that no random point lies near each final point.

    As many points are drawn as were suggested on the same object, evenly over it; over the image
    where no object is known.

    Args:
        rows: places of the final points.
    """
    objects = int(columns.object.max(initial=-1)) + 2
    key = columns.annotation * objects + columns.object + 1
    suggestions = np.bincount(key[columns.suggested], minlength=int(key.max(initial=0)) + 1)
    missed = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        near_one = np.minimum(_chance(columns, block, near), 1 - 1e-12)
        missed[start : start + BLOCK] = suggestions[key[block]] * np.log1p(-near_one)
    return missed


def _chance(columns: VerdictColumns, rows: Integers, near: float) -> Floats:
    """Return the chance that one random point lies near each final point."""
    area, radius = columns.area[rows], near * columns.longer_sides(rows)
    boxes = columns.boxes(rows)
    known = np.isfinite(boxes[:, 0])
    image = columns.image_edges[columns.annotation[rows]]
    edges = np.where(known[:, None], boxes, image)
    x, y = centre_to_edge(columns.final_x[rows]), centre_to_edge(columns.final_y[rows])
    cut = share_within(x, y, radius, edges)
    # Of an object whose place is not known, the area alone counts.
    whole = np.minimum(1.0, np.pi * radius**2 / area)
    return np.where(np.isfinite(area) & ~known, whole, cut)
