"""The command `python -m model train`: class labels → a weights file."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from model.learning import labelled_images
from model.learning.labelled_images import LabelledImages
from model.learning.training import FROM_NOTHING, ON_DRAWINGS, Trained, TrainingSettings, train
from model.networks import SMALL, save_classifier
from model.settings import TORCHVISION_WEIGHTS

DRAWINGS = 2000
FROM_SCRATCH = "nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--drawings",
        nargs="?",
        type=int,
        const=DRAWINGS,
        metavar="N",
        help=f"draw N vehicles (default {DRAWINGS}); needs no data and no network",
    )
    source.add_argument(
        "--folder", type=Path, metavar="DIR", help="a folder of images for each class"
    )
    source.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="a data set with annotations.csv; only image, class and split are read",
    )
    parser.add_argument("--split", help="with --data: use the rows of this split alone")
    parser.add_argument(
        "--arch", help="torchvision classifier of ReLU layers, or small (default with --drawings)"
    )
    parser.add_argument(
        "--init",
        metavar="WEIGHTS",
        help=f"start from {TORCHVISION_WEIGHTS} (default but for small), a weights file, "
        f"or {FROM_SCRATCH}",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("trained.safetensors"),
        metavar="FILE",
        help="weights file to write, with its JSON beside it (default %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--epochs", type=int, help="passes over the images, at most")
    parser.add_argument("--batch", type=int, help="images in one step")
    parser.add_argument("--rate", type=float, help="highest learning rate")
    parser.add_argument("--patience", type=int, help="epochs without progress before the end")
    parser.add_argument(
        "--validation-share", type=float, help="share of the images that check the result"
    )
    parser.add_argument(
        "--flip",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="mirrored images keep their class; not where classes are viewpoints",
    )
    parser.add_argument(
        "--shuffle-labels",
        action="store_true",
        help="learn permuted labels, every epoch and to the last: a control for evaluate",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, write the weights file, and say what came of it.

    Returns:
        The exit status, 0.

    Raises:
        ValueError, OSError: with what was expected, what came and what to do.
    """
    images = _images(arguments)
    init = _init(arguments)
    out: Path = arguments.out
    if out.suffix != ".safetensors":
        raise ValueError(f"expected a file name that ends in .safetensors as --out, got {out}")
    checkpoint = out.with_suffix(".training")
    if checkpoint.exists():
        print(f"found {checkpoint}: going on with it, if it is of the same training")
    trained = train(
        images,
        arch=arguments.arch,
        init=init,
        settings=_settings(arguments, init),
        checkpoint=checkpoint,
        progress=True,
    )
    save_classifier(trained.classifier, out)
    checkpoint.unlink()
    _report(trained, out)
    return 0


def _images(arguments: argparse.Namespace) -> LabelledImages:
    if arguments.split is not None and arguments.data is None:
        raise ValueError("--split belongs to --data: leave it out")
    images = _with_their_labels(arguments)
    return (
        labelled_images.shuffled(images, seed=arguments.seed)
        if arguments.shuffle_labels
        else images
    )


def _with_their_labels(arguments: argparse.Namespace) -> LabelledImages:
    if arguments.folder is not None:
        return labelled_images.in_folders(arguments.folder)
    if arguments.data is not None:
        return labelled_images.in_table(arguments.data, split=arguments.split)
    return labelled_images.drawn(arguments.drawings, seed=arguments.seed)


def _init(arguments: argparse.Namespace) -> str | None:
    """Where to start from: by default pretrained weights, but nothing for the small network."""
    init: str | None = arguments.init
    if init == FROM_SCRATCH:
        return None
    small = arguments.arch == SMALL or (arguments.arch is None and arguments.drawings is not None)
    if init is None and not small:
        return TORCHVISION_WEIGHTS
    return init


def _settings(arguments: argparse.Namespace, init: str | None) -> TrainingSettings:
    """What was given, and for the rest what suits the images and the start."""
    otherwise = TrainingSettings()
    if init is None:
        otherwise = FROM_NOTHING if arguments.drawings is None else ON_DRAWINGS
    names = ("epochs", "batch", "rate", "patience", "validation_share", "flip", "seed")
    given = {name: getattr(arguments, name) for name in names}
    # Images that check permuted labels cannot tell one epoch from another.
    return replace(
        otherwise,
        early_stopping=not arguments.shuffle_labels,
        **{name: value for name, value in given.items() if value is not None},
    )


def _report(trained: Trained, out: Path) -> None:
    for name, reason in trained.left_out:
        print(f"left out {name}: {reason}", file=sys.stderr)
    for warning in trained.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    counts = ", ".join(f"{count} {name}" for name, count in trained.images.items())
    print(f"trained on {counts}; {trained.validation_images} of these only checked the result")
    print(
        f"wrote {out}: {trained.classifier.arch}, {trained.best.validation_accuracy:.1%} of the "
        f"validation images right (epoch {trained.best.number} of {len(trained.history)})"
    )
