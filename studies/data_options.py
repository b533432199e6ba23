"""The options `--data`, `--split` and `--images`, the same for every command on a data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

AT_LEAST_ONE = click.IntRange(min=1)


def data_options(command: Command) -> Command:
    """Add the options, which the command receives as `data`, `split` and `images`."""
    with_images = click.option(
        "--images", type=AT_LEAST_ONE, metavar="N", help="Use at most N images, spread evenly."
    )(command)
    with_split = click.option("--split", default="test", show_default=True)(with_images)
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        required=True,
        metavar="DIR",
        help="Folder with annotations.csv, or annotations.json (COCO keypoints).",
    )(with_split)
