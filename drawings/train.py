"""The command `python -m drawings train`: drawings with class labels → a weights file."""

import click

from drawings.labelled import SETTINGS, labelled_drawings
from model.commands.training_options import TrainingArguments, train_and_save, training_options
from model.learning.training_settings import TrainingSettings
from model.networks import SMALL
from model.weights_files import TORCHVISION_WEIGHTS


@click.command()
@click.option(
    "--count", type=click.IntRange(min=1), default=2000, show_default=True, help="Drawings to use."
)
@click.option(
    "--arch",
    help="Torchvision classifier of ReLU layers, or small. Default: small, or as in the weights "
    "that --init names.",
)
@training_options
def train(count: int, arguments: TrainingArguments) -> None:
    """Train a classifier on drawn vehicles and their class labels; needs no data.

    Starts from random weights unless --init or another --arch than small is given.
    """
    small = arguments.arch in (None, SMALL)
    init = arguments.start(None if small else TORCHVISION_WEIGHTS)
    settings = arguments.settings(TrainingSettings() if init else SETTINGS)
    images = labelled_drawings(count, seed=arguments.seed)
    train_and_save(images, arguments, init=init, settings=settings)
