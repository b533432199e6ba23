"""Options and steps shared by the two training commands.

The commands are `python -m model train` and `python -m drawings train`.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from model.learning.class_sizes import listed
from model.learning.labelled_images import LabelledImages, shuffled
from model.learning.training import Trained, train
from model.learning.training_settings import TrainingSettings
from model.networks import save_classifier
from model.weights_files import TORCHVISION_WEIGHTS

FROM_SCRATCH = "nothing"


@dataclass(frozen=True, slots=True)
class TrainingArguments:
    """Arguments of a training command; None if the command decides.

    Attributes:
        arch: architecture of the network.
        init: weights to start from, or "nothing".
        out: weights file to write.
        shuffle_labels: whether to train on permuted labels, as a control.
        epochs, batch, rate, patience, validation_share, flip, seed: as in `TrainingSettings`.
    """

    arch: str | None
    init: str | None
    out: Path
    shuffle_labels: bool
    epochs: int | None
    batch: int | None
    rate: float | None
    patience: int | None
    validation_share: float | None
    flip: bool
    seed: int

    def start(self, default: str | None) -> str | None:
        """Return the weights to start from, `default` if none are given; None for no weights."""
        return None if self.init == FROM_SCRATCH else self.init or default

    def settings(self, default: TrainingSettings) -> TrainingSettings:
        """Return the settings: those that are given, else those of `default`.

        Raises:
            ValueError: a value is out of range.
        """
        names = ("epochs", "batch", "rate", "patience", "validation_share", "flip", "seed")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        # Validation images with permuted labels cannot tell a better epoch from a worse one.
        return replace(default, early_stopping=not self.shuffle_labels, **given)


_OPTIONS = (
    click.option(
        "--init",
        metavar="WEIGHTS",
        help=f"Start from {TORCHVISION_WEIGHTS}, a weights file, or {FROM_SCRATCH}. Default: "
        f"{FROM_SCRATCH} for small, {TORCHVISION_WEIGHTS} for every other network.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path("trained.safetensors"),
        show_default=True,
        metavar="FILE",
        help="Weights file to write, with its JSON beside it.",
    ),
    click.option("--seed", type=int, default=0, show_default=True),
    click.option("--epochs", type=int, help="Passes over the images, at most."),
    click.option("--batch", type=int, help="Images in one step."),
    click.option("--rate", type=float, help="Highest learning rate."),
    click.option("--patience", type=int, help="Epochs without progress before training stops."),
    click.option(
        "--validation-share", type=float, help="Share of the images that only check the result."
    ),
    click.option(
        "--flip/--no-flip",
        default=True,
        show_default=True,
        help="Also learn mirrored images; choose --no-flip if the classes are viewpoints.",
    ),
    click.option(
        "--shuffle-labels",
        is_flag=True,
        help="Learn permuted labels through every epoch: a control for `studies evaluate`.",
    ),
)


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the shared options; the command receives them as `arguments: TrainingArguments`.

    The option `--arch` is the command's own to add, because its default differs.
    """
    names = [field.name for field in fields(TrainingArguments)]

    @wraps(command)
    def with_arguments(**values: Any) -> None:
        shared = {name: values.pop(name) for name in names}
        command(arguments=TrainingArguments(**shared), **values)

    decorated: Callable[..., None] = with_arguments
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def train_and_save(
    images: LabelledImages,
    arguments: TrainingArguments,
    *,
    init: str | None,
    settings: TrainingSettings,
) -> None:
    """Train, write the weights file with its JSON, and print a summary.

    A checkpoint is kept beside the weights file until that is written; a training that was killed
    resumes from it.

    Args:
        init: weights to start from; None to start from random ones.

    Raises:
        ValueError, OSError: with what was expected, what came and what to do.
    """
    out = arguments.out
    if out.suffix != ".safetensors":
        raise ValueError(f"expected a file name that ends in .safetensors as --out, got {out}")
    checkpoint = out.with_suffix(".training")
    if checkpoint.exists():
        print(f"found {checkpoint}: resuming from it if it belongs to the same training")
    if arguments.shuffle_labels:
        images = shuffled(images, seed=arguments.seed)
    trained = train(
        images,
        arch=arguments.arch,
        init=init,
        settings=settings,
        checkpoint=checkpoint,
        progress=True,
    )
    save_classifier(trained.classifier, out)
    checkpoint.unlink()
    _print_summary(trained, out)


def _print_summary(trained: Trained, out: Path) -> None:
    for name, reason in trained.left_out:
        print(f"left out {name}: {reason}", file=sys.stderr)
    for warning in trained.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    counts = listed(f"{count} {name}" for name, count in trained.images.items())
    print(f"trained on {counts}; {trained.validation_images} of these only checked the result")
    print(
        f"wrote {out}: {trained.classifier.arch}, {trained.best.accuracy} "
        f"(epoch {trained.best.number} of {len(trained.history)})"
    )
