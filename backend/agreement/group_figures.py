"""The figures of one group of verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from backend.agreement.as_json import fields_as_json, to_json
from backend.agreement.clustered import Estimate, geometric_mean, median_time
from backend.agreement.columns import Floats, Integers
from backend.agreement.limits import Limits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PointCounts:
    """Numbers of points.

    Attributes:
        suggested: suggestions, each counted once however many annotators judged it.
        judged: judgements of them.
        by_verdict: points by verdict (see `judging.VERDICTS`); those of suggestions are judgements.
    """

    suggested: int
    judged: int
    by_verdict: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return all counts as one flat object."""
        return {"suggested": self.suggested, "judged": self.judged, **self.by_verdict}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Shares of suggestions that kept their label, and their place: exactly, or nearly."""

    untouched: Estimate
    within_share: Estimate
    within_px: Estimate


@dataclass(frozen=True, slots=True)
class PckAt:
    """Share of final points whose suggestion lies within α times the longer side (PCK)."""

    alpha: float
    share: Estimate

    def as_json(self) -> dict[str, Any]:
        """Return α and the share as one flat object."""
        return {"alpha": self.alpha, **fields_as_json(self.share)}


@dataclass(frozen=True, slots=True)
class ByLongerSide(Generic[T]):
    """A figure of distances divided by the longer side of the image, and of the object."""

    image: T
    object: T


@dataclass(frozen=True, slots=True)
class Displacement:
    """How far points were moved, px; points left in place do not count."""

    mean: Estimate
    median: Estimate
    p90: Estimate


@dataclass(frozen=True, slots=True)
class LeadTime:
    """How long annotations took, s; times of 0 and of open tabs are left out and counted."""

    median: Estimate
    geometric_mean: Estimate

    @classmethod
    def of(cls, seconds: Floats, image: Integers, limits: Limits) -> "LeadTime":
        """Compute both from the lead times of annotations and the images that these are of."""
        return cls(
            median=median_time(seconds, image, limits),
            geometric_mean=geometric_mean(seconds, image, limits),
        )


@dataclass(frozen=True, slots=True)
class PointFigures:
    """Agreement of suggested and final points.

    Attributes:
        images: number of images.
        precision, recall, f1: of suggestions against final points: by place alone, and in the
            figures of a label by place and label. None of them where nothing was suggested.
        found_at_place: share of final points with a suggestion of any label near them.
        oks: object keypoint similarity.
    """

    points: PointCounts
    images: int
    acceptance: Acceptance
    precision: Estimate
    recall: Estimate
    f1: Estimate
    found_at_place: Estimate
    pck: ByLongerSide[tuple[PckAt, ...]]
    normalised_error: ByLongerSide[Estimate]
    displacement_px: Displacement
    oks: Estimate


@dataclass(frozen=True, slots=True)
class AnnotationFigures:
    """The figures of a group of annotations.

    Attributes:
        agreement: agreement of their points.
        annotations: their number.
        edited_by_others: those whose newest state somebody other than the author made.
        acceptance_unknown: those of which only such a state is known; they count in no figure of
            acceptance.
        tasks, annotators: their numbers.
    """

    agreement: PointFigures
    annotations: int
    edited_by_others: int
    acceptance_unknown: int
    tasks: int
    annotators: int
    lead_time: LeadTime

    def as_json(self) -> dict[str, Any]:
        """Return all figures as one flat object."""
        found = fields_as_json(self)
        agreement: dict[str, Any] = found.pop("agreement")
        return agreement | found


@dataclass(frozen=True, slots=True)
class ChoiceCounts:
    """Verdicts about suggested classes, and the number of classes chosen without a suggestion."""

    suggested: int
    accepted: int
    relabelled: int
    deleted: int
    added: int


@dataclass(frozen=True, slots=True)
class OverallFigures:
    """The figures of all annotations whose annotators saw the suggestions.

    Attributes:
        skipped: number of annotations that were skipped.
    """

    figures: AnnotationFigures
    choices: ChoiceCounts
    skipped: int

    def as_json(self) -> dict[str, Any]:
        """Return all figures as one flat object."""
        return self.figures.as_json() | {
            "choices": to_json(self.choices),
            "skipped": self.skipped,
        }


@dataclass(frozen=True, slots=True)
class NamedGroup(Generic[T]):
    """A group and its figures."""

    name: str
    figures: T

    def as_json(self) -> dict[str, Any]:
        """Return name and figures as one flat object."""
        return {"name": self.name, **to_json(self.figures)}
