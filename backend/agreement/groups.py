"""Figures of agreement by label, class, annotator, project, model version and time."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from backend.agreement.as_json import fields_as_json
from backend.agreement.columns import CODES, Flags, Floats, Integers, VerdictColumns
from backend.agreement.group_figures import (
    Acceptance,
    AnnotationFigures,
    ByLongerSide,
    Displacement,
    NamedGroup,
    PckAt,
    PointCounts,
    PointFigures,
)
from backend.agreement.intervals import Clusters, Estimate
from backend.agreement.tallies import (
    Contribution,
    Tallies,
    contributions,
    count_verdicts,
    is_moved,
)
from backend.verdicts.judging import ADDED, VERDICTS


@dataclass(frozen=True)
class GroupSums:
    """The sums from which the figures of several groups of verdicts are computed.

    Attributes:
        sums: (groups, clusters) each.
        verdicts: (groups, kinds of verdict).
        images: (groups,): number of images of each group.
        moves: distance (px), image and group of every point that was moved.
    """

    clusters: Clusters
    sums: Tallies[Floats]
    verdicts: Integers
    images: Integers
    moves: tuple[Floats, Integers, Integers]

    def agreement(self, group: int) -> PointFigures:
        """Compute every figure of one group."""
        sums = self.sums.map(lambda each: each[group])
        hits, points = sums.suggested_hit + sums.final_hit, sums.suggested + sums.final
        return PointFigures(
            points=self._counts(group),
            images=int(self.images[group]),
            acceptance=Acceptance(
                untouched=self._share(sums.accepted, sums.suggested),
                within_share=self._share(sums.near_by_share, sums.suggested),
                within_px=self._share(sums.near_by_px, sums.suggested),
            ),
            precision=self._share(sums.suggested_hit, sums.suggested),
            recall=self._share(sums.final_hit, sums.final),
            f1=self._ratio(hits, points, group),
            pck=ByLongerSide(
                image=self._pck(sums.image_within, sums.final),
                object=self._pck(sums.object_within, sums.final_with_object),
            ),
            normalised_error=ByLongerSide(
                image=self._ratio(sums.image_error, sums.paired, group),
                object=self._ratio(sums.object_error, sums.paired_with_object, group),
            ),
            displacement_px=self._displacement(group),
            oks=self._ratio(sums.similarity, sums.objects, group),
        )

    def _counts(self, group: int) -> PointCounts:
        counts = self.verdicts[group]
        return PointCounts(
            suggested=int(counts.sum() - counts[CODES[ADDED]]),
            by_verdict=dict(zip(VERDICTS, counts.tolist(), strict=True)),
        )

    def _pck(self, within: Sequence[Floats], points: Floats) -> tuple[PckAt, ...]:
        alphas = self.clusters.parameters.alphas
        return tuple(
            PckAt(alpha, self._share(each, points))
            for alpha, each in zip(alphas, within, strict=True)
        )

    def _share(self, successes: Floats, trials: Floats) -> Estimate:
        return self.clusters.share(successes.sum(), trials.sum())

    def _ratio(self, numerator: Floats, denominator: Floats, group: int) -> Estimate:
        images = int(self.images[group])
        return self.clusters.ratio(numerator, denominator, images, denominator.sum())

    def _displacement(self, group: int) -> Displacement:
        distance, image, of_group = self.moves
        rows = of_group == group
        median, p90 = self.clusters.quantiles(distance[rows], image[rows], (0.5, 0.9))
        return Displacement(median, p90)


class AnnotationTotals:
    """Sums over the verdicts of each annotation; the sums of a group add them up."""

    def __init__(self, columns: VerdictColumns, clusters: Clusters) -> None:
        self._columns = columns
        self._clusters = clusters
        annotations = len(columns.annotations)

        def by_annotation(each: Contribution) -> Floats:
            total = np.bincount(columns.annotation[each.rows], each.values, annotations)
            return total.astype(np.float64)

        self._sums = contributions(columns, clusters.parameters).map(by_annotation)
        self._verdicts = count_verdicts(columns, columns.annotation, annotations)
        rows = is_moved(columns)
        self._moves = columns.displacement[rows], columns.annotation[rows]
        seconds = [each.lead_time for each in columns.annotations]
        self._lead_time = np.array(seconds, np.float64)
        self._task = _numbered([each.task for each in columns.annotations])
        self._annotator = _numbered([each.annotator for each in columns.annotations])

    def overall(self) -> AnnotationFigures:
        """Compute the figures of all annotations together."""
        return self._grouped(np.zeros(len(self._columns.annotations), np.int64), 1)[0]

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
        image = self._columns.image
        distance, owner = self._moves
        verdicts = np.zeros((groups, len(VERDICTS)), np.int64)
        np.add.at(verdicts, group, self._verdicts)
        found = GroupSums(
            self._clusters,
            self._sums.map(lambda each: self._clusters.sums(image, group, groups, each)),
            verdicts,
            _count_images(group, image, groups),
            (distance, image[owner], group[owner]),
        )
        return [
            self._with_counts(found.agreement(number), group == number) for number in range(groups)
        ]

    def _with_counts(self, agreement: PointFigures, chosen: Flags) -> AnnotationFigures:
        timed = chosen & np.isfinite(self._lead_time)
        return AnnotationFigures(
            agreement=agreement,
            annotations=int(chosen.sum()),
            tasks=len(np.unique(self._task[chosen])),
            annotators=len(np.unique(self._annotator[chosen])),
            lead_time=self._clusters.mean(self._lead_time[timed], self._columns.image[timed]),
        )


def _count_images(group: Integers, image: Integers, groups: int) -> Integers:
    """Count the different images of each group."""
    images = int(image.max(initial=0)) + 1
    seen = np.unique(group * images + image)
    return np.bincount(seen // images, minlength=groups)


def _numbered(values: Sequence[Hashable]) -> Integers:
    """Number values from 0, equal ones alike."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], np.int64)


def by_label(columns: VerdictColumns, clusters: Clusters) -> list[NamedGroup[PointFigures]]:
    """Compute the figures of each label.

    A label's suggestions are the points suggested with it; its final points are those that
    annotators left with it.
    """
    labels = len(columns.labels)
    if labels == 0:
        return []
    image = columns.image[columns.annotation]
    suggested = np.where(columns.suggested, columns.suggested_label, 0)
    final = np.where(columns.final, columns.final_label, 0)

    def of_each_label(each: Contribution) -> Floats:
        label = suggested if each.side == "suggested" else final
        return clusters.sums(image[each.rows], label[each.rows], labels, each.values)

    group = np.concatenate([suggested[columns.suggested], final[columns.final]])
    seen = np.concatenate([image[columns.suggested], image[columns.final]])
    moved = is_moved(columns)
    found = GroupSums(
        clusters,
        contributions(columns, clusters.parameters, final).map(of_each_label),
        count_verdicts(columns, np.where(columns.suggested, suggested, final), labels),
        _count_images(group, seen, labels),
        (columns.displacement[moved], image[moved], final[moved]),
    )
    sizes = np.bincount(group, minlength=labels)
    largest = np.argsort(-sizes, kind="stable")[: clusters.parameters.most_groups].tolist()
    chosen = [label for label in largest if sizes[label]]
    order = sorted(chosen, key=lambda label: columns.labels[label])
    return [NamedGroup(columns.labels[label], found.agreement(label)) for label in order]


@dataclass(frozen=True, slots=True)
class GroupTables:
    """The largest groups of each kind, in the order of their names."""

    label: Sequence[NamedGroup[PointFigures]]
    class_name: Sequence[NamedGroup[AnnotationFigures]]
    annotator: Sequence[NamedGroup[AnnotationFigures]]
    project: Sequence[NamedGroup[AnnotationFigures]]
    model_version: Sequence[NamedGroup[AnnotationFigures]]
    time: Sequence[NamedGroup[AnnotationFigures]]

    def as_json(self) -> dict[str, Any]:
        """Return each kind of groups under its name."""
        return {
            "class" if name == "class_name" else name: groups
            for name, groups in fields_as_json(self).items()
        }


def group_tables(
    columns: VerdictColumns, totals: AnnotationTotals, clusters: Clusters
) -> GroupTables:
    """Compute the figures of every group of every kind."""
    most, annotations = clusters.parameters.most_groups, columns.annotations
    annotators = ["unknown" if a.annotator is None else str(a.annotator) for a in annotations]
    return GroupTables(
        label=by_label(columns, clusters),
        class_name=totals.by_name([each.class_name for each in annotations], most),
        annotator=totals.by_name(annotators, most),
        project=totals.by_name([each.project_uid for each in annotations], most),
        model_version=totals.by_name([each.model_version for each in annotations], most),
        time=totals.by_name(period_names([each.updated_at for each in annotations]), most),
    )


def period_names(moments: Sequence[datetime]) -> list[str]:
    """Name each moment's day, week or month, whichever gives a readable number of periods."""
    if not moments:
        return []
    days = (max(moments) - min(moments)).days
    if days <= 31:
        return [f"{moment:%Y-%m-%d}" for moment in moments]
    return [f"{moment:%G-W%V}" if days <= 365 else f"{moment:%Y-%m}" for moment in moments]
