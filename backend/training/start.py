"""Choose where a training starts from, and settings that suit the start and the images."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from backend.training.records import TrainingOptions
from backend.training.registry import Model
from model.learning.training_settings import FROM_NOTHING, TrainingSettings
from model.networks import SMALL
from model.weights_files import TORCHVISION_WEIGHTS

NOTHING = "nothing"
# A small data set is learnt in small batches, so that an epoch has several steps: with 60 drawings
# of three classes, a pretrained network then got 98 % of other drawings right, instead of 73 %.
BATCHES = 10
SMALLEST_BATCH = 8


@dataclass(frozen=True)
class Start:
    """Network and weights that a training starts from; see `model.learning.training.train`.

    Attributes:
        requested: whether the options of the training name this start.
    """

    arch: str | None
    init: str | None
    requested: bool


# A small network with random weights, for a machine that cannot get pretrained ones.
FALLBACK = Start(SMALL, None, requested=False)


def choose_start(options: TrainingOptions, active: Model) -> Start:
    """Return the start that the options name; by default the active model learns the classes."""
    arch, init = options.arch, options.init
    if init == NOTHING or (init is None and arch == SMALL):
        return Start(arch, None, requested=True)
    if init is not None:
        return Start(arch, init, requested=True)
    if arch in (None, active.arch):
        return Start(active.arch, active.weights, requested=arch is not None)
    return Start(arch, TORCHVISION_WEIGHTS, requested=True)


def choose_settings(
    options: TrainingOptions, start: Start, labels: Sequence[str]
) -> TrainingSettings:
    """Return the settings for a start and for images with these labels, one label per image."""
    defaults = TrainingSettings() if start.init else FROM_NOTHING
    return replace(
        defaults,
        epochs=options.epochs or defaults.epochs,
        seed=options.seed,
        flip=may_flip(labels) if options.flip is None else options.flip,
        batch=min(defaults.batch, max(SMALLEST_BATCH, len(labels) // BATCHES)),
        # A split by seed would compare the active model on images that it was trained on.
        split_by_content=True,
    )


def may_flip(classes: Iterable[str]) -> bool:
    """Return whether mirrored images keep their class: not if a class is called left or right."""
    words = {word for name in set(classes) for word in re.split(r"[^a-z]+", name.lower())}
    return not words & {"left", "right"}
