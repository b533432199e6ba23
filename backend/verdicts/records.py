"""Rows of the verdict log, as the rest of the program sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from backend.labelstudio.schemas import PredictionJson
from backend.labelstudio.shapes import Json
from backend.suggestions.records import PredictedImage
from backend.verdicts.drawings import Drawing
from backend.verdicts.drawn import Object
from backend.verdicts.judging import Verdict

Source = Literal["event", "sync"]
# Compared with a prediction, skipped by the annotator, or unusable for a reason.
Outcome = Literal["judged", "skipped", "unused"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A prediction that an annotator may have seen.

    Attributes:
        images: of its task, one or several.
        sent: as delivered to Label Studio; None if it was never delivered.
        delivered_at, label_studio_id: of that delivery.
    """

    prediction_id: int
    model_version: str
    images: Sequence[PredictedImage]
    sent: PredictionJson | None
    delivered_at: datetime | None
    label_studio_id: int | None


# Compared annotations: begun as the suggestions; made while these were kept back; made without them
# although they were there.
Group = Literal["shown", "withheld", "from scratch"]


class AnnotationKey(NamedTuple):
    """What identifies an annotation: Label Studio on SQLite uses the ids of deleted ones again."""

    project_uid: str
    annotation_id: int
    made_at: datetime


@dataclass(frozen=True, slots=True)
class State:
    """An annotation at one moment, and what it says about the suggestions.

    Attributes:
        made_at, updated_at: times of the annotation, as reported by Label Studio.
        digest: see `digests`.
        source: how the state first arrived.
        outcome, reason: whether the annotation was used, and if not, why.
        annotator: user id of the annotator, the annotation's author.
        updated_by: user id of whoever saved this state; None if unknown.
        lead_time: s.
        score, class_name: score and class of the prediction.
        shown: whether the suggestions had been delivered, not withheld.
        begun: whether the annotation began as these suggestions, as far as this state tells.
        width, height: of the image, px.
        objects: the rectangles that the annotator drew.
        unused: for each region that says nothing about the suggestions, the reason.
        drawing: what it says although it was compared with nothing; None if there is nothing.
        image_number: which of several images of the task the state is about, from 0, as the
            prediction numbers them; None where there is only one.
        further: the states on the other images of the task, if there are several.
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
    updated_by: int | None = None
    lead_time: float | None = None
    prediction_id: int | None = None
    model_version: str | None = None
    score: float | None = None
    class_name: str | None = None
    shown: bool | None = None
    begun: bool = False
    width: float | None = None
    height: float | None = None
    objects: Sequence[Object] = ()
    verdicts: Sequence[Verdict] = ()
    unused: Sequence[str] = ()
    drawing: Drawing | None = None
    image_number: int | None = None
    further: Sequence["State"] = ()

    @property
    def annotation(self) -> AnnotationKey:
        """The annotation that this is a state of."""
        return AnnotationKey(self.project_uid, self.annotation_id, self.made_at)


@dataclass(frozen=True, slots=True)
class Retraction:
    """One annotation, or every annotation of a task, was deleted, or was found again.

    Attributes:
        annotation_id, task_id: one of the two.
        deleted: False if the annotation was found again.
    """

    project_uid: str
    annotation_id: int | None
    task_id: int | None
    at: datetime
    source: Source
    deleted: bool = True


@dataclass(frozen=True, slots=True)
class Unused:
    """An annotation or event that makes no state.

    Attributes:
        digest: identifies it; a repetition has the same digest.
    """

    reason: str
    digest: str
    project_uid: str | None = None
    task_id: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything that one event, or one request to Label Studio, adds to the log."""

    event_id: int | None = None
    states: Sequence[State] = ()
    retractions: Sequence[Retraction] = ()
    unused: Sequence[Unused] = ()


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that annotations must meet; None for no condition.

    Attributes:
        project: id in Label Studio, or uid.
        since, until: limits of the annotation's last change; `until` is excluded.
    """

    project: str | None = None
    label: str | None = None
    annotator: int | None = None
    model_version: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A webhook event.

    Attributes:
        body: raw JSON, without the project's token.
    """

    id: int
    received_at: datetime
    action: str
    project_id: int | None
    body: Json


@dataclass(frozen=True, slots=True)
class SetAside:
    """A webhook event that could not be handled, and why."""

    event_id: int
    action: str
    project_id: int | None
    received_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class SyncRun:
    """The result of pulling the annotations of one project.

    Attributes:
        annotations: number of annotations in Label Studio.
        added: states of annotations that the log lacked.
        retracted: annotations that no longer exist.
        problem: why the project could not be pulled.
    """

    project_uid: str
    started_at: datetime
    annotations: int = 0
    added: int = 0
    retracted: int = 0
    problem: str | None = None
