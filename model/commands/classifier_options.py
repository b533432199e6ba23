"""The options `--arch` and `--weights`, the same for every command that loads a classifier."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from model.weights_files import DEFAULT_ARCH, TORCHVISION_WEIGHTS

Command = TypeVar("Command", bound=Callable[..., Any])


def classifier_options(command: Command) -> Command:
    """Add `--arch` and `--weights`, which the command receives under these names."""
    with_weights = click.option(
        "--weights",
        help=f"{TORCHVISION_WEIGHTS} or a weights file. Default: {TORCHVISION_WEIGHTS}.",
    )(command)
    return click.option(
        "--arch",
        help="Torchvision classifier of ReLU layers, or small. Default: as the JSON beside the "
        f"weights says, else {DEFAULT_ARCH}.",
    )(with_weights)
