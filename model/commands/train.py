"""The command `python -m model train`: images with class labels → a weights file."""

from pathlib import Path

import click

from model.commands.training_options import TrainingArguments, train_and_save, training_options
from model.learning import labelled_images
from model.learning.labelled_images import LabelledImages
from model.learning.training_settings import FROM_NOTHING, TrainingSettings
from model.networks import SMALL
from model.weights_files import TORCHVISION_WEIGHTS

FOLDER = click.Path(path_type=Path, file_okay=False)


def _refuse_drawings(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(
            "expected --folder or --data, got --drawings: to train on drawings, run "
            "python -m drawings train [--count N]",
            context,
        )


@click.command()
@click.option(
    "--folder", type=FOLDER, metavar="DIR", help="A folder that holds one folder of images a class."
)
@click.option(
    "--data",
    type=FOLDER,
    metavar="DIR",
    help="A data set with annotations.csv; only the columns image, class and split are read.",
)
@click.option("--split", help="With --data: use only the rows of this split.")
@click.option(
    "--arch",
    help="Torchvision classifier of ReLU layers, or small. Default: as in the weights that "
    "training starts from.",
)
@click.option(
    "--drawings",
    is_flag=False,
    flag_value="",
    hidden=True,
    is_eager=True,
    expose_value=False,
    callback=_refuse_drawings,
)
@training_options
def train(
    folder: Path | None, data: Path | None, split: str | None, arguments: TrainingArguments
) -> None:
    """Train a classifier on class labels alone and write its weights.

    The images come from --folder or from --data.
    """
    images = _images(folder, data, split)
    init = arguments.start(None if arguments.arch == SMALL else TORCHVISION_WEIGHTS)
    settings = arguments.settings(TrainingSettings() if init else FROM_NOTHING)
    train_and_save(images, arguments, init=init, settings=settings)


def _images(folder: Path | None, data: Path | None, split: str | None) -> LabelledImages:
    if folder is not None and data is None:
        if split is not None:
            raise ValueError("--split belongs to --data: leave it out")
        return labelled_images.in_folders(folder)
    if data is not None and folder is None:
        return labelled_images.in_table(data, split=split)
    given = "neither" if folder is None else "both"
    raise ValueError(f"expected either --folder or --data, got {given}: give one of them")
