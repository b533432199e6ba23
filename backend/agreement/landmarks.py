"""Salient landmarks: which labels of each class the suggestions find, compared with chance."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.agreement.as_json import fields_as_json
from backend.agreement.cells import ImageCells
from backend.agreement.clustered import Estimate, ratio, share
from backend.agreement.columns import Flags, Floats, Integers, VerdictColumns
from backend.agreement.parameters import AgreementParameters


@dataclass(frozen=True, slots=True)
class LandmarkFigures:
    """A label on objects of one class.

    Attributes:
        annotated: number of annotations with at least one final point of that label.
        found: share of these with a suggestion near such a point.
        lift: `found` over the share expected of as many points spread evenly.
    """

    class_name: str
    label: str
    annotated: int
    found: Estimate
    lift: Estimate

    def as_json(self) -> dict[str, Any]:
        """Return the figures with the class under "class"."""
        found = fields_as_json(self)
        return {"class": found.pop("class_name"), **found}


@dataclass(frozen=True, slots=True)
class _Units:
    """One row for each label in each annotation, however many points bear it.

    Attributes:
        annotation, label: places among annotations and labels.
        found: whether a suggestion lies near one of its points.
        expected: chance that one would if suggestions were spread evenly.
    """

    annotation: Integers
    label: Integers
    found: Flags
    expected: Floats


def landmarks(columns: VerdictColumns, parameters: AgreementParameters) -> list[LandmarkFigures]:
    """Compute for each class and label how often an annotated label is among the suggestions.

    `lift` divides by how often that would be with as many points spread evenly over the object, or
    over the image where no object is known.
    """
    if not columns.final.any():
        return []
    units = _units(columns, parameters.near)
    labels = len(columns.labels)
    names = sorted({each.class_name for each in columns.annotations})
    class_of = np.array([names.index(each.class_name) for each in columns.annotations])
    group, groups = class_of[units.annotation] * labels + units.label, len(names) * labels
    image = columns.image[units.annotation]
    cells = ImageCells.of(group, image, groups)
    cell = cells.find(group, image)
    found, expected = (
        cells.sums(cell, each) for each in (units.found.astype(np.float64), units.expected)
    )
    annotated, once = np.bincount(group, minlength=groups), cells.sums(cell, None)
    rows = []
    for each in np.argsort(-annotated, kind="stable")[: parameters.most_landmarks].tolist():
        of, count = cells.of_group(each), int(annotated[each])
        if count:
            of_units = share(found[of], once[of], parameters.limits)
            lift = ratio(
                found[of], expected[of], scale="positive", n=count, limits=parameters.limits
            )
            name, label = names[each // labels], columns.labels[each % labels]
            rows.append(LandmarkFigures(name, label, count, of_units, lift))
    return sorted(rows, key=lambda one: (one.class_name, -(one.found.value or 0.0), one.label))


def _units(columns: VerdictColumns, near: float) -> _Units:
    rows = np.flatnonzero(columns.final)
    annotation, label = columns.annotation[rows], columns.final_label[rows]
    _, first, unit = np.unique(
        annotation * len(columns.labels) + label, return_index=True, return_inverse=True
    )
    return _Units(
        annotation=annotation[first],
        label=label[first],
        found=np.bincount(unit, columns.final_hit[rows], minlength=len(first)) > 0,
        expected=np.bincount(unit, _chance(columns, near)[rows]) / np.bincount(unit),
    )


def _chance(columns: VerdictColumns, near: float) -> Floats:
    """Return for each verdict the chance that a random point lies near it.

    As many points are drawn as were suggested, evenly over the object, else over the image.
    """
    annotations = columns.annotations
    suggestions = np.bincount(columns.annotation[columns.suggested], minlength=len(annotations))
    area = np.array([each.width * each.height for each in annotations], np.float64)
    length = np.where(np.isfinite(columns.length), columns.length, columns.image_length)
    around = np.where(np.isfinite(columns.area), columns.area, area[columns.annotation])
    one = np.minimum(1.0, np.pi * (near * length) ** 2 / around)
    return np.asarray(1 - (1 - one) ** suggestions[columns.annotation])
