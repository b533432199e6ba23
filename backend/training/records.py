"""What the rows about trainings and models are to the rest of the program."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Status = Literal["queued", "done", "failed"]
# Chosen because a training ended well, or by `python -m backend models`.
Way = Literal["training", "command"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What may be asked of a training; None for what suits.

    Attributes:
        control: name of the `Choices` whose choices are the classes.
        arch, init: see `model.learning.training.train`; `nothing` as `init` starts from nothing.
        flip: whether mirrored images keep their class.
    """

    control: str | None = None
    arch: str | None = None
    init: str | None = None
    epochs: int | None = None
    seed: int = 0
    flip: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training that ended well has to say.

    Attributes:
        control: whose choices were learnt.
        images: class → how many were used.
        left_out: (image, why it was not used).
        warnings: what makes the result doubtful.
        decision: whether the new model answers now, and why.
    """

    control: str
    images: dict[str, int]
    left_out: list[tuple[str, str]]
    warnings: list[str]
    decision: str


@dataclass(frozen=True, slots=True)
class Training:
    """A row of the table of trainings.

    Attributes:
        status: `queued` until it ended.
        progress: what it is at; None until it begins.
        attempts: how often it was begun since it last got on.
    """

    id: int
    project_uid: str
    wishes: Wishes
    status: Status
    reason: str | None
    round: int
    attempts: int
    progress: dict[str, Any] | None
    outcome: Outcome | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def state(self) -> str:
        """`queued`, `running`, `done` or `failed`."""
        return "running" if self.status == "queued" and self.progress else self.status


@dataclass(frozen=True, slots=True)
class NewModel:
    """What a training brought, as it is to be kept.

    Attributes:
        file: its name in MODELS_DIR.
        fingerprint: of `model.settings.weights_fingerprint`.
        accuracy: share of the validation images that it gets right.
        previous_version, previous_accuracy: of the model that answered until then, on the same
            images; None where it does not know these classes.
    """

    control: str
    arch: str
    file: str
    fingerprint: str
    classes: tuple[str, ...]
    images: int
    validation_images: int
    accuracy: float
    previous_version: str
    previous_accuracy: float | None


@dataclass(frozen=True, slots=True)
class TrainedModel(NewModel):
    """A row of the table of models."""

    id: int
    training_id: int
    project_uid: str
    created_at: datetime
