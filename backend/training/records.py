"""Trainings and trained models, as the rest of the program sees their rows."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

Status = Literal["queued", "done", "failed"]
# What activated a model: a training that succeeded, or `python -m backend models`.
Way = Literal["training", "command"]


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Options of a training; None chooses a suitable value.

    Attributes:
        control: name of the `Choices` whose choices are the classes.
        arch, init: see `model.learning.training.train`; an `init` of `nothing` starts from random
            weights.
        epochs: largest number of passes over the images.
        flip: whether mirrored images keep their class.
    """

    control: str | None = None
    arch: str | None = None
    init: str | None = None
    epochs: int | None = None
    seed: int = 0
    flip: bool | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a training.

    Attributes:
        phase: in words.
        done, total: images or epochs, depending on the phase; None where nothing is counted.
        loss, validation_accuracy: after the last epoch; None before the first.
    """

    phase: str
    done: int | None = None
    total: int | None = None
    loss: float | None = None
    validation_accuracy: float | None = None

    def as_json(self) -> dict[str, str | float]:
        """Return the fields that are known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a training that succeeded.

    Attributes:
        control: name of the `Choices` that was learnt.
        images: class → number of images used.
        left_out: pairs of an image and the reason why it was not used.
        warnings: reasons to doubt the result.
        decision: whether the new model is active now, and why.
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
        status: `queued` until the training has ended.
        round: number of its current RQ job.
        attempts: starts since it last made progress.
        progress: None until it has started.
    """

    id: int
    project_uid: str
    options: TrainingOptions
    status: Status
    reason: str | None
    round: int
    attempts: int
    waiting_for: str | None
    retry_at: datetime | None
    failing_since: datetime | None
    progress: Progress | None
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
    """A model to store, as a training made it.

    Attributes:
        file: name of its weights file in MODELS_DIR.
        fingerprint: result of `model.weights_files.weights_fingerprint`.
        accuracy: share of the validation images that it classifies correctly.
        previous_version, previous_accuracy: version of the previously active model, and its
            accuracy on the same images; None if that model does not know these classes.
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


@dataclass(frozen=True, slots=True)
class Activation:
    """Which model was chosen, for a project or for the deployment.

    Attributes:
        id: of its row.
        model: None for the model of the settings.
    """

    id: int
    model: TrainedModel | None
