"""The sums whose ratios are the figures of agreement."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from backend.agreement.columns import CODES, Flags, Floats, Integers, VerdictColumns
from backend.agreement.parameters import AgreementParameters
from backend.verdicts.judging import ACCEPTED, ADDED, DELETED, MOVED, MOVED_AND_RELABELLED, VERDICTS

T = TypeVar("T")
U = TypeVar("U")

PAIRED = tuple(code for name, code in CODES.items() if name not in (DELETED, ADDED))


@dataclass(frozen=True, slots=True)
class Contribution:
    """The verdicts that contribute to a sum.

    Attributes:
        side: the side whose label decides to which label's sum the verdict belongs.
        rows: flags or places of the verdicts.
        values: value of each of these; None where each counts 1.
    """

    side: Literal["suggested", "final"]
    rows: Flags | Integers
    values: Floats | None = None


@dataclass(frozen=True, slots=True)
class Tallies(Generic[T]):
    """One entry for each sum: at first its contributions, later its totals by group.

    Attributes:
        judged: suggestions in first submissions.
        accepted: those that were left untouched.
        near_by_share, near_by_px: those untouched or moved a little, keeping their label.
        suggested: suggestions; from here on in newest states.
        suggested_hit: those with a final point near them.
        final: final points.
        final_hit: final points with a suggestion near them.
        found: final points with a suggestion of any label near them.
        final_with_object: final points on an object of known size.
        paired: final points that began as a suggestion.
        paired_with_object: paired points on an object of known size.
        image_error, object_error: displacement over the longer side of image, of object.
        image_within, object_within: paired points displaced by at most each α.
        moved, distance: points of first submissions that were moved, and how far, px.
        similarity: object keypoint similarity of objects.
        objects: objects with at least one final point.
    """

    judged: T
    accepted: T
    near_by_share: T
    near_by_px: T
    suggested: T
    suggested_hit: T
    final: T
    final_hit: T
    found: T
    final_with_object: T
    paired: T
    paired_with_object: T
    image_error: T
    object_error: T
    image_within: tuple[T, ...]
    object_within: tuple[T, ...]
    moved: T
    distance: T
    similarity: T
    objects: T

    def map(self, function: "Callable[[T], U]") -> "Tallies[U]":
        """Apply a function to each."""
        return Tallies(
            judged=function(self.judged),
            accepted=function(self.accepted),
            near_by_share=function(self.near_by_share),
            near_by_px=function(self.near_by_px),
            suggested=function(self.suggested),
            suggested_hit=function(self.suggested_hit),
            final=function(self.final),
            final_hit=function(self.final_hit),
            found=function(self.found),
            final_with_object=function(self.final_with_object),
            paired=function(self.paired),
            paired_with_object=function(self.paired_with_object),
            image_error=function(self.image_error),
            object_error=function(self.object_error),
            image_within=tuple(function(each) for each in self.image_within),
            object_within=tuple(function(each) for each in self.object_within),
            moved=function(self.moved),
            distance=function(self.distance),
            similarity=function(self.similarity),
            objects=function(self.objects),
        )


def contributions(
    columns: VerdictColumns, parameters: AgreementParameters, part: Integers | None = None
) -> Tallies[Contribution]:
    """Find which verdicts contribute to each sum, and with which value.

    Acceptance rests on first submissions, everything else on newest states.

    Args:
        part: (verdicts,): the part of its object that each final point belongs to; None where
            objects are not divided.
    """
    first, columns = columns.first_submissions, columns.newest_states
    objects, similarity = _similarities(columns, parameters.sigma, part)
    unmoved = np.isin(columns.verdict, (CODES[ACCEPTED], CODES[MOVED])) & first.suggested
    paired = np.isin(columns.verdict, PAIRED) & columns.final
    with_object = np.isfinite(columns.length)
    paired_with_object = paired & with_object
    image = columns.displacement[paired] / columns.image_length[paired]
    object_ = columns.displacement[paired_with_object] / columns.length[paired_with_object]
    near_by_share = columns.displacement / columns.longer_side <= parameters.tau
    moved = is_moved(first)
    return Tallies(
        judged=Contribution("suggested", first.suggested),
        accepted=Contribution("suggested", unmoved & (columns.verdict == CODES[ACCEPTED])),
        near_by_share=Contribution("suggested", unmoved & near_by_share),
        near_by_px=Contribution("suggested", unmoved & (columns.displacement <= parameters.tau_px)),
        suggested=Contribution("suggested", columns.suggested),
        suggested_hit=Contribution("suggested", columns.suggested_hit),
        final=Contribution("final", columns.final),
        final_hit=Contribution("final", columns.final_hit),
        found=Contribution("final", columns.found),
        final_with_object=Contribution("final", columns.final & with_object),
        paired=Contribution("final", paired),
        paired_with_object=Contribution("final", paired_with_object),
        image_error=Contribution("final", paired, image),
        object_error=Contribution("final", paired_with_object, object_),
        image_within=tuple(
            Contribution("final", _among(paired, image <= alpha)) for alpha in parameters.alphas
        ),
        object_within=tuple(
            Contribution("final", _among(paired_with_object, object_ <= alpha))
            for alpha in parameters.alphas
        ),
        moved=Contribution("final", moved),
        distance=Contribution("final", moved, columns.displacement[moved]),
        similarity=Contribution("final", objects, similarity),
        objects=Contribution("final", objects),
    )


def _among(rows: Flags, chosen: Flags) -> Flags:
    """Return flags of all verdicts, given which of some rows are chosen."""
    found = rows.copy()
    found[rows] = chosen
    return found


def _similarities(
    columns: VerdictColumns, sigma: float, part: Integers | None
) -> tuple[Integers, Floats]:
    """Compute the keypoint similarity of each object, or of each part of it.

    The similarity of an object is the mean over its final points of exp(-d² / (2 s² k²)), with d
    the distance of the suggestion, infinite where there was none, s² the object's area and k = 2σ.

    Returns:
        The index of one verdict of each object, and the similarity of each.

    Source: COCO keypoint evaluation, as pycocotools computes it.
    """
    rows = columns.final & np.isfinite(columns.area)
    paired = np.isin(columns.verdict, PAIRED)[rows]
    similarity = np.zeros(len(paired))
    squared = columns.displacement[rows][paired] ** 2
    area = columns.area[rows][paired] + np.spacing(1)
    similarity[paired] = np.exp(-squared / (2 * sigma) ** 2 / area / 2)
    objects = int(columns.object.max(initial=-1)) + 2
    key = columns.annotation[rows] * objects + columns.object[rows] + 1
    if part is not None:
        key = key * (int(part.max(initial=0)) + 1) + part[rows]
    _, first, instance = np.unique(key, return_index=True, return_inverse=True)
    points = np.bincount(instance, minlength=len(first))
    mean = np.bincount(instance, similarity, minlength=len(first)) / points
    return np.flatnonzero(rows)[first], mean


def count_verdicts(columns: VerdictColumns, group: Integers, groups: int) -> Integers:
    """Count the verdicts of each kind in each group.

    Args:
        group: (verdicts,).

    Returns:
        (groups, kinds of verdict).
    """
    counted = columns.suggested | (columns.final & (columns.verdict == CODES[ADDED]))
    place = group[counted] * len(VERDICTS) + columns.verdict[counted]
    total = np.bincount(place, minlength=groups * len(VERDICTS))
    return np.asarray(total.reshape(groups, len(VERDICTS)), np.int64)


@dataclass(frozen=True)
class JudgedSuggestions:
    """Which judgements are about the same suggestion.

    Attributes:
        order: places of the judgements, sorted by suggestion.
        earlier: for each judgement in that order, how many of the same suggestion precede it.
    """

    order: NDArray[np.int32]
    earlier: NDArray[np.int32]

    @classmethod
    def of(cls, suggestion: Integers) -> "JudgedSuggestions":
        """Sort judgements, given the number of the suggestion of each."""
        order = np.argsort(suggestion, kind="stable").astype(np.int32)
        ordered = suggestion[order]
        place = np.arange(len(order), dtype=np.int32)
        begins = np.ones(len(order), bool)
        begins[1:] = ordered[1:] != ordered[:-1]
        return cls(order, place - np.maximum.accumulate(np.where(begins, place, 0)))

    def count(self, group: Integers, groups: int) -> Integers:
        """Count the different suggestions of each group, given the group of each judgement.

        Returns:
            (groups,).
        """
        of = group[self.order]
        repeats = np.zeros(len(of), bool)
        back, later = 1, np.flatnonzero(self.earlier)
        while len(later):
            repeats[later] |= of[later] == of[later - back]
            back += 1
            later = later[self.earlier[later] >= back]
        return np.bincount(of[~repeats], minlength=groups).astype(np.int64)


def is_moved(columns: VerdictColumns) -> Flags:
    """Return whether each verdict is about a point that was moved."""
    moved = np.isin(columns.verdict, (CODES[MOVED], CODES[MOVED_AND_RELABELLED]))
    return np.asarray(moved & columns.final)
