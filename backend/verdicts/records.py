"""What the rows of the verdict log are to the rest of the program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from backend.verdicts.judging import Verdict

Source = Literal["event", "sync"]
# Compared with a prediction, skipped by the annotator, or not comparable for a reason.
Outcome = Literal["judged", "skipped", "unused"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A prediction that an annotator may have seen.

    Attributes:
        sent: as Label Studio got it; None where it was never delivered.
        delivered_at, label_studio_id: of that delivery.
    """

    prediction_id: int
    model_version: str
    detection: Mapping[str, Any]
    sent: Mapping[str, Any] | None
    delivered_at: datetime | None
    label_studio_id: int | None


@dataclass(frozen=True, slots=True)
class State:
    """What an annotation was at some moment, and what it says about the suggestions.

    Attributes:
        made_at, updated_at: of the annotation, as Label Studio tells them.
        digest: of all that counts in it.
        outcome, reason: whether it was used, else why not.
        annotator: user id.
        lead_time: s.
        score, class_name: of the prediction.
        shown: whether the annotator saw the suggestions.
        width, height: of the image, px.
        objects: label and box (left, top, width, height; px) of each rectangle.
        unused: for each region that says nothing, the reason.
    """

    project_uid: str
    task_id: int
    annotation_id: int
    made_at: datetime
    updated_at: datetime
    digest: str
    source: Source
    outcome: Outcome
    reason: str | None = None
    annotator: int | None = None
    lead_time: float | None = None
    prediction_id: int | None = None
    model_version: str | None = None
    score: float | None = None
    class_name: str | None = None
    shown: bool | None = None
    width: float | None = None
    height: float | None = None
    objects: Sequence[Mapping[str, Any]] = ()
    verdicts: Sequence[Verdict] = ()
    unused: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Retraction:
    """One annotation, or every annotation of a task, is no more; or is there after all."""

    project_uid: str
    annotation_id: int | None
    task_id: int | None
    at: datetime
    source: Source
    deleted: bool = True


@dataclass(frozen=True, slots=True)
class Unused:
    """An event that makes no state; `digest` tells it from others, not from its repetition."""

    reason: str
    digest: str
    project_uid: str | None = None
    task_id: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """All that one event, or one look at Label Studio, adds to the log."""

    event_id: int | None = None
    states: Sequence[State] = ()
    retractions: Sequence[Retraction] = ()
    unused: Sequence[Unused] = ()


@dataclass(frozen=True, slots=True)
class Filters:
    """Which annotations are meant; None for all.

    Attributes:
        project: id in Label Studio, or uid.
        since, until: when the annotation was last changed; `until` is not included.
    """

    project: str | None = None
    label: str | None = None
    annotator: int | None = None
    model_version: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What Label Studio's webhook sent, without the project's token."""

    id: int
    received_at: datetime
    action: str
    project_id: int | None
    body: dict[str, Any]
