"""Verdicts about points as columns of numbers, which makes a million of them quick to process."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from backend.agreement.records import JudgedAnnotation
from backend.verdicts.judging import ADDED, DELETED, VERDICTS
from backend.verdicts.packing import PackedPoints

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
# Half the memory; make keys of them as `annotation * size + column`, which is int64.
ShortIntegers = NDArray[np.int32]
Flags = NDArray[np.bool_]

# Verdict → its code in the column `verdict`.
CODES = {name: code for code, name in enumerate(VERDICTS)}
Edges = tuple[float, float, float, float]  # left, top, right, bottom
ABSENT = -2  # stands for a label that occurs in no column


@dataclass(frozen=True)
class VerdictColumns:
    """Annotations, and the verdicts about their points.

    An annotation whose first submission is another state than the newest occurs twice in
    `annotations`, once with each. Figures of acceptance rest on `first_submissions`, those of
    quality on `newest_states`.

    The first four attributes describe annotations and labels; every other one is a column with a
    row for each verdict.

    Attributes:
        image: (annotations,): number of each annotation's image, from 0.
        labels: names; the label columns hold indices into it, -1 for none.
        objects: the boxes of the annotations' objects; None where they are unknown.
        annotation: index of the verdict's annotation in `annotations`.
        verdict: index into `judging.VERDICTS`.
        score: score of the suggestion; NaN where there is none.
        displacement, length, area: px, px, px²; NaN where there is none or it is unknown.
        object: index of one of the annotation's rectangles; -1 for none.
        number: of the suggestion within its prediction; -1 for none.
        suggested_x, suggested_y, final_x, final_y: px; NaN if there is no such point.
        suggested, final: whether the row counts as a suggestion, as a final point.
        suggested_hit, final_hit: whether that point has a partner near it, of any label until
            labels are matched.
        found: whether any suggestion lies near the final point.
    """

    annotations: Sequence[JudgedAnnotation]
    image: Integers
    labels: Sequence[str]
    objects: "ObjectBoxes | None"
    annotation: Integers
    verdict: NDArray[np.int8]
    suggested_label: ShortIntegers
    final_label: ShortIntegers
    score: Floats
    displacement: Floats
    length: Floats
    area: Floats
    object: ShortIntegers
    number: ShortIntegers
    suggested_x: Floats
    suggested_y: Floats
    final_x: Floats
    final_y: Floats
    suggested: Flags
    final: Flags
    suggested_hit: Flags
    final_hit: Flags
    found: Flags

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.image.max()) + 1 if len(self.image) else 0

    @property
    def suggestion(self) -> Integers:
        """The suggestion of each verdict, numbered so that all judgements of one share a number.

        Verdicts about no suggestion have numbers too, which mean nothing.
        """
        most = int(self.number.max(initial=0)) + 2
        return (self._prediction * most)[self.annotation] + self.number + 1

    @cached_property
    def _prediction(self) -> Integers:
        """A number for the prediction of each annotation."""
        predictions = [each.prediction_id for each in self.annotations]
        return np.unique(predictions, return_inverse=True)[1].astype(np.int64)

    @property
    def longer_side(self) -> Floats:
        """Longer side of the object of each verdict where it is known, else of the image, px."""
        return self.longer_sides(slice(None))

    def longer_sides(self, rows: Integers | slice) -> Floats:
        """Return the same of some verdicts."""
        length = self.length[rows]
        of_image = self._longer_side[self.annotation[rows]]
        return np.where(np.isfinite(length), length, of_image)

    @property
    def image_length(self) -> Floats:
        """Longer side of the image of each verdict, px."""
        return np.asarray(self._longer_side[self.annotation], np.float64)

    @cached_property
    def _longer_side(self) -> Floats:
        return np.array([each.longer_side for each in self.annotations], np.float64)

    @cached_property
    def image_edges(self) -> Floats:
        """Left, top, right, bottom edge of the image of each annotation, px; (annotations, 4)."""
        sizes = [(0, 0, each.width, each.height) for each in self.annotations]
        return np.array(sizes, np.float64).reshape(-1, 4)

    def boxes(self, rows: Integers) -> Floats:
        """Return the boxes of the objects of some verdicts.

        Args:
            rows: places of the verdicts.

        Returns:
            (rows, 4): left, top, right and bottom edge, px from the image's top left corner; NaN
            where no object is known.
        """
        found = np.full((len(rows), 4), np.nan)
        if self.objects is not None:
            known = np.isfinite(self.length[rows])
            of = rows[known]
            found[known] = self.objects.find(self.annotation[of], self.object[of])
        return found

    @cached_property
    def is_newest(self) -> Flags:
        """Whether each of `annotations` is the newest state of its annotation."""
        return np.array([each.is_newest for each in self.annotations], bool)

    @cached_property
    def is_first(self) -> Flags:
        """Whether each of `annotations` is the first submission of its annotation."""
        return np.array([each.is_first for each in self.annotations], bool)

    @property
    def newest_states(self) -> "VerdictColumns":
        """The same rows, of which those of other than newest states count as no point."""
        return self._counting_states(self.is_newest)

    @property
    def first_submissions(self) -> "VerdictColumns":
        """The same rows, of which those of other than first submissions count as no point."""
        return self._counting_states(self.is_first)

    def _counting_states(self, chosen: Flags) -> "VerdictColumns":
        if chosen.all():
            return self
        rows = chosen[self.annotation]
        return replace(
            self,
            suggested=self.suggested & rows,
            final=self.final & rows,
            suggested_hit=self.suggested_hit & rows,
            final_hit=self.final_hit & rows,
            found=self.found & rows,
        )

    def of_annotations(self, chosen: Flags) -> "VerdictColumns":
        """Select annotations with their verdicts, and renumber the images.

        Args:
            chosen: (annotations,).
        """
        if chosen.all():
            return self
        place = np.cumsum(chosen) - 1
        found = self._of_rows(chosen[self.annotation])
        return replace(
            found,
            annotations=[
                each for each, keep in zip(self.annotations, chosen.tolist(), strict=True) if keep
            ],
            image=np.unique(self.image[chosen], return_inverse=True)[1].astype(np.int64),
            objects=None if self.objects is None else self.objects.of_annotations(chosen),
            annotation=place[found.annotation].astype(np.int64),
        )

    def counting(self, label: str) -> "VerdictColumns":
        """Return the verdicts about one label.

        A verdict counts as a suggestion where the label was suggested, and as a final point where
        it is the final label; verdicts that count as neither are left out.
        """
        code = self.labels.index(label) if label in self.labels else ABSENT
        suggested = self.suggested & (self.suggested_label == code)
        final = self.final & (self.final_label == code)
        found = replace(
            self,
            suggested=suggested,
            final=final,
            suggested_hit=self.suggested_hit & suggested,
            final_hit=self.final_hit & final,
            found=self.found & final,
        )
        return found._of_rows(suggested | final)

    def _of_rows(self, rows: Flags) -> "VerdictColumns":
        """Select verdicts; without copying them where they follow one another."""
        first, count = int(rows.argmax()) if len(rows) else 0, int(np.count_nonzero(rows))
        together = rows[first : first + count].all()
        chosen = slice(first, first + count) if together else rows
        return replace(self, **{name: getattr(self, name)[chosen] for name in _COLUMNS})


# Names of the columns with a row for each verdict.
_COLUMNS = tuple(
    each.name
    for each in fields(VerdictColumns)
    if each.name not in ("annotations", "image", "labels", "objects")
)


@dataclass(frozen=True)
class ObjectBoxes:
    """Where the objects of annotations are.

    Attributes:
        edges: (boxes, 4): for each annotation the box that its task came with, then its rectangles.
        start: (annotations,): place of the first of them.
    """

    edges: Floats
    start: Integers

    def find(self, annotation: Integers, object_: ShortIntegers) -> Floats:
        """Return the boxes of objects; -1 is the box that the task came with."""
        return np.asarray(self.edges[self.start[annotation] + object_ + 1])

    def of_annotations(self, chosen: Flags | Integers) -> "ObjectBoxes":
        """Select annotations."""
        return ObjectBoxes(self.edges, self.start[chosen])


class BoxBuffer:
    """The boxes of annotations, added one after the other."""

    def __init__(self) -> None:
        self._edges = array("d")
        self._start = array("q")

    @classmethod
    def of(cls, boxes: "BoxBuffer | Iterable[Iterable[Edges]]") -> "BoxBuffer":
        """Add the boxes of every annotation, unless that is done."""
        if isinstance(boxes, BoxBuffer):
            return boxes
        found = cls()
        for each in boxes:
            found.append(each)
        return found

    def append(self, boxes: Iterable[Edges]) -> None:
        """Add the boxes of the next annotation: that of its task, then its rectangles."""
        self._start.append(len(self._edges) // 4)
        for each in boxes:
            self._edges.extend(each)

    def boxes(self) -> ObjectBoxes:
        """Return all boxes."""
        edges = np.array(self._edges, np.float64).reshape(-1, 4)
        return ObjectBoxes(edges, np.array(self._start, np.int64))


def unpack_columns(
    annotations: Sequence[JudgedAnnotation],
    packed: PackedPoints | Sequence[tuple[bytes, Sequence[str]]],
    boxes: BoxBuffer | Sequence[Sequence[Edges]] | None = None,
    *,
    order: Sequence[int] | None = None,
) -> VerdictColumns:
    """Unpack the verdicts of each annotation.

    Args:
        packed: verdicts and labels of each annotation, as `packing.pack` returns them.
        boxes: of each annotation, the box that its task came with and then those of its rectangles;
            None where they are unknown.
        order: in which to put the annotations, their places from 0; None for that given.
    """
    objects = None if boxes is None else BoxBuffer.of(boxes).boxes()
    places = None if order is None else np.array(order, np.int64)
    if places is not None:
        annotations = [annotations[place] for place in places.tolist()]
        objects = None if objects is None else objects.of_annotations(places)
    points, owner, labels = PackedPoints.of(packed).unpack(places)
    verdict = points["verdict"]
    suggested, final = verdict != CODES[ADDED], verdict != CODES[DELETED]
    images: dict[tuple[str, int, str], int] = {}
    image = [
        images.setdefault((each.project_uid, each.task_id, each.image_url), len(images))
        for each in annotations
    ]
    return VerdictColumns(
        annotations=annotations,
        image=np.array(image, np.int64),
        labels=labels,
        objects=objects,
        annotation=owner,
        verdict=verdict,
        suggested_label=points["suggested_label"],
        final_label=points["final_label"],
        score=points["score"],
        displacement=points["displacement"],
        length=points["length"],
        area=points["area"],
        object=points["object"],
        number=points["number"],
        suggested_x=points["suggested_x"],
        suggested_y=points["suggested_y"],
        final_x=points["final_x"],
        final_y=points["final_y"],
        suggested=suggested,
        final=final,
        suggested_hit=(points["suggested_hit"] == 1) & suggested,
        final_hit=(points["final_hit"] == 1) & final,
        found=(points["final_hit"] == 1) & final,
    )


def edges_of(box: Mapping[str, float]) -> Edges:
    """Return the edges of a box that is stored by its left top corner and its size."""
    left, top = box["left"], box["top"]
    return left, top, left + box["width"], top + box["height"]
