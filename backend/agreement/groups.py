"""Figures of agreement by label, class, annotator, project, model version and time."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from backend.agreement.as_json import fields_as_json
from backend.agreement.cells import ImageCells
from backend.agreement.columns import Flags, Floats, Integers, VerdictColumns
from backend.agreement.group_figures import (
    AnnotationFigures,
    LeadTime,
    NamedGroup,
    PointFigures,
)
from backend.agreement.group_sums import GroupSums, Moves
from backend.agreement.label_matching import label_hits
from backend.agreement.parameters import AgreementParameters
from backend.agreement.tallies import (
    Contribution,
    JudgedSuggestions,
    contributions,
    count_verdicts,
    is_moved,
)
from backend.verdicts.judging import VERDICTS

MOST_WEEKS = 48  # a longer time is divided into months, so that no week has to be left out


class AnnotationTotals:
    """Sums over the verdicts of each annotation; the sums of a group add them up."""

    def __init__(self, columns: VerdictColumns, parameters: AgreementParameters) -> None:
        self._columns = columns
        self._parameters = parameters
        annotations = len(columns.annotations)

        def by_annotation(each: Contribution) -> Floats:
            total = np.bincount(columns.annotation[each.rows], each.values, annotations)
            return total.astype(np.float64)

        self._sums = contributions(columns, parameters).map(by_annotation)
        first = columns.first_submissions
        self._verdicts = count_verdicts(first, columns.annotation, annotations)
        self._suggestions = JudgedSuggestions.of(columns.suggestion[first.suggested])
        self._judged = columns.annotation[first.suggested].astype(np.int32)
        rows = is_moved(first)
        self._moves = columns.displacement[rows], columns.annotation[rows]
        seconds = [each.lead_time for each in columns.annotations]
        self._lead_time = np.array(seconds, np.float64)
        self._task = _numbered([each.task for each in columns.annotations])
        self._annotator = _numbered([each.annotator for each in columns.annotations])
        self._first, self._newest = columns.is_first, columns.is_newest
        self._edited = np.array([each.edited_by_other for each in columns.annotations], bool)
        self._unknown = np.array([each.first_id is None for each in columns.annotations], bool)

    def overall(self) -> AnnotationFigures:
        """Compute the figures of all annotations together."""
        return self._overall

    @cached_property
    def _overall(self) -> AnnotationFigures:
        return self._grouped(np.zeros(len(self._columns.annotations), np.int64), 1)[0]

    def of_some(self, chosen: Flags) -> AnnotationFigures:
        """Compute the figures of some annotations together.

        Args:
            chosen: (annotations,).
        """
        return self._grouped(np.where(chosen, 0, 1), 2)[0] if not chosen.all() else self._overall

    def by_name(self, names: Sequence[str], most: int) -> list[NamedGroup[AnnotationFigures]]:
        """Compute the figures of the largest groups of annotations.

        Args:
            names: the group of each annotation.
            most: number of groups at most.
        """
        found, codes = np.unique(np.array(names, object).astype(str), return_inverse=True)
        sizes = np.bincount(codes, minlength=len(found))
        largest = np.sort(np.argsort(-sizes, kind="stable")[:most])
        # Everything else goes into one extra group, dropped below.
        place = np.full(len(found), len(largest), np.int64)
        place[largest] = np.arange(len(largest))
        figures = self._grouped(place[codes], len(largest) + 1)
        return [
            NamedGroup(str(found[group]), each)
            for group, each in zip(largest.tolist(), figures[:-1], strict=True)
        ]

    def _grouped(self, group: Integers, groups: int) -> list[AnnotationFigures]:
        """Compute the figures of each group; `group` is that of each annotation."""
        cells = ImageCells.of(group, self._columns.image, groups)
        cell = cells.find(group, self._columns.image)
        distance, owner = self._moves
        verdicts = np.zeros((groups, len(VERDICTS)), np.int64)
        np.add.at(verdicts, group, self._verdicts)
        found = GroupSums(
            self._parameters,
            cells,
            self._sums.map(lambda each: cells.sums(cell, each)),
            verdicts,
            self._suggestions.count(group[self._judged], groups),
            Moves.of(distance, cell[owner]),
        )
        return [
            self._with_counts(found.agreement(number), group == number) for number in range(groups)
        ]

    def _with_counts(self, agreement: PointFigures, chosen: Flags) -> AnnotationFigures:
        timed, newest = chosen & self._first & np.isfinite(self._lead_time), chosen & self._newest
        return AnnotationFigures(
            agreement=agreement,
            annotations=int(newest.sum()),
            edited_by_others=int((newest & self._edited).sum()),
            acceptance_unknown=int((newest & self._unknown).sum()),
            tasks=len(np.unique(self._task[chosen])),
            annotators=len(np.unique(self._annotator[chosen])),
            lead_time=LeadTime.of(
                self._lead_time[timed], self._columns.image[timed], self._parameters.limits
            ),
        )


def _numbered(values: Sequence[Hashable]) -> Integers:
    """Number values from 0, equal ones alike."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], np.int64)


def by_label(
    columns: VerdictColumns, parameters: AgreementParameters
) -> list[NamedGroup[PointFigures]]:
    """Compute the figures of each label.

    A label's suggestions are the points suggested with it; its final points are those that
    annotators left with it. Points are matched with points of the same label only.
    """
    labels = len(columns.labels)
    if labels == 0:
        return []
    suggested_hit, final_hit = label_hits(columns, parameters.near)
    columns = replace(columns, suggested_hit=suggested_hit, final_hit=final_hit)
    suggested = np.where(columns.suggested, columns.suggested_label, 0)
    final = np.where(columns.final, columns.final_label, 0)
    cells = _label_cells(columns)
    image = columns.image[columns.annotation]
    # Rows that count on neither side have a cell as well, which no contribution asks for.
    of_suggested, of_final = cells.find(suggested, image), cells.find(final, image)
    del image

    def of_each_label(each: Contribution) -> Floats:
        cell = of_suggested if each.side == "suggested" else of_final
        return cells.sums(cell[each.rows], each.values)

    first = columns.first_submissions
    moved = is_moved(first)
    found = GroupSums(
        parameters,
        cells,
        contributions(columns, parameters, final).map(of_each_label),
        count_verdicts(first, np.where(columns.suggested, suggested, final), labels),
        JudgedSuggestions.of(columns.suggestion[first.suggested]).count(
            suggested[first.suggested], labels
        ),
        Moves.of(columns.displacement[moved], of_final[moved]),
    )
    sizes = np.bincount(suggested[columns.suggested], minlength=labels)
    sizes += np.bincount(final[columns.final], minlength=labels)
    largest = np.argsort(-sizes, kind="stable")[: parameters.most_groups].tolist()
    chosen = [label for label in largest if sizes[label]]
    order = sorted(chosen, key=lambda label: columns.labels[label])
    return [NamedGroup(columns.labels[label], found.agreement(label)) for label in order]


def _label_cells(columns: VerdictColumns) -> ImageCells:
    """Find the pairs of a label and an image that occur."""
    sides = (columns.suggested, columns.suggested_label), (columns.final, columns.final_label)
    label = np.concatenate([of_side[rows] for rows, of_side in sides])
    image = np.concatenate([columns.image[columns.annotation[rows]] for rows, _ in sides])
    return ImageCells.of(label, image, len(columns.labels))


@dataclass(frozen=True, slots=True)
class GroupTables:
    """The largest groups of each kind, in the order of their names.

    Attributes:
        left_out: kind → number of groups that are not listed.
    """

    label: Sequence[NamedGroup[PointFigures]]
    class_name: Sequence[NamedGroup[AnnotationFigures]]
    annotator: Sequence[NamedGroup[AnnotationFigures]]
    project: Sequence[NamedGroup[AnnotationFigures]]
    model_version: Sequence[NamedGroup[AnnotationFigures]]
    time: Sequence[NamedGroup[AnnotationFigures]]
    left_out: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return each kind of groups under its name."""
        return {
            "class" if name == "class_name" else name: groups
            for name, groups in fields_as_json(self).items()
            if name != "left_out"
        }


def group_tables(
    columns: VerdictColumns, totals: AnnotationTotals, parameters: AgreementParameters
) -> GroupTables:
    """Compute the figures of every group of every kind."""
    most, annotations = parameters.most_groups, columns.annotations
    names = {
        "class": [each.class_name for each in annotations],
        "annotator": [
            "unknown" if each.annotator is None else str(each.annotator) for each in annotations
        ],
        "project": [each.project_uid for each in annotations],
        "model_version": [each.model_version for each in annotations],
        "time": period_names([each.updated_at for each in annotations]),
    }
    sizes = {kind: len(set(of_kind)) for kind, of_kind in names.items()}
    sizes["label"] = len(
        {*columns.suggested_label[columns.suggested], *columns.final_label[columns.final]}
    )
    return GroupTables(
        label=by_label(columns, parameters),
        class_name=totals.by_name(names["class"], most),
        annotator=totals.by_name(names["annotator"], most),
        project=totals.by_name(names["project"], most),
        model_version=totals.by_name(names["model_version"], most),
        time=totals.by_name(names["time"], most),
        left_out={kind: max(0, size - most) for kind, size in sizes.items()},
    )


def period_names(moments: Sequence[datetime]) -> list[str]:
    """Name each moment's day, week or month, whichever gives a readable number of periods."""
    if not moments:
        return []
    days = (max(moments) - min(moments)).days
    if days <= 31:
        return [f"{moment:%Y-%m-%d}" for moment in moments]
    weeks = days <= MOST_WEEKS * 7
    return [f"{moment:%G-W%V}" if weeks else f"{moment:%Y-%m}" for moment in moments]
