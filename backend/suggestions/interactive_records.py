"""Answers to annotators who place a point or a rectangle, as the rest of the program sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from backend.labelstudio.shapes import Json
from backend.suggestions.records import Status
from model.keypoint import Box, Detection


@dataclass(frozen=True, slots=True)
class PlacedSoFar:
    """What a worker needs to know of what an annotator has placed.

    Attributes:
        width, height: of the upright image as the annotator's browser measured it, px.
        box: the rectangle around the object, px; None if there is none.
        given: label → (x, y), px, of the points that are placed on the object.
        anchor: (x, y), px, of the point just placed; None if a rectangle was.
        prompts: ids of the regions that the annotator placed to get this answer or the undecided
            ones before it. Empty if Label Studio reports that they are gone.
    """

    width: float
    height: float
    box: Box | None
    given: Mapping[str, tuple[float, float]]
    anchor: tuple[float, float] | None
    prompts: Sequence[str]

    def as_json(self) -> Json:
        """Return it as it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Json) -> "PlacedSoFar":
        """Inverse of `as_json`."""
        box, anchor = kept["box"], kept["anchor"]
        return cls(
            width=kept["width"],
            height=kept["height"],
            box=None if box is None else Box(**box),
            given={label: (x, y) for label, (x, y) in kept["given"].items()},
            anchor=None if anchor is None else (anchor[0], anchor[1]),
            prompts=tuple(kept["prompts"]),
        )


@dataclass(frozen=True, slots=True)
class InteractiveAnswer:
    """A row of the table of interactive answers.

    Attributes:
        status: `queued` until a worker has found the points (`ready`) or given up (`failed`).
        model_version: of the suggestions; None until found.
        detection: what was found; `named` are the landmarks, if the project has learnt any.
        sent: the regions of the answer, raw: those just placed, those of earlier answers that the
            annotator has neither accepted nor rejected, and new ones. None until sent.
        request_id: of the request that it answers; None if it had none.
    """

    id: int
    project_uid: str
    task_id: int
    image_url: str
    request: PlacedSoFar
    status: Status
    reason: str | None
    model_version: str | None
    detection: Detection | None
    sent: Sequence[Json] | None
    asked_at: datetime
    sent_at: datetime | None
    request_id: str | None = None

    @property
    def suggested(self) -> Sequence[Json]:
        """The regions of the answer that nobody had placed."""
        return [each for each in self.sent or () if each.get("id") not in self.request.prompts]
