"""Options that several commands on data sets have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

AT_LEAST_ONE = click.IntRange(min=1)


def data_option(described: str) -> Callable[[Command], Command]:
    """Return what adds the option that the command receives as `data`."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        required=True,
        metavar="DIR",
        help=described,
    )


def data_options(command: Command) -> Command:
    """Add the options, which the command receives as `data`, `split` and `images`."""
    with_images = click.option(
        "--images", type=AT_LEAST_ONE, metavar="N", help="Use at most N images, spread evenly."
    )(command)
    with_split = click.option("--split", default="test", show_default=True)(with_images)
    described = "Folder with annotations.csv, or annotations.json (COCO keypoints)."
    return data_option(described)(with_split)


def cache_option(command: Command) -> Command:
    """Add the option, which the command receives as `cache`."""
    return click.option(
        "--cache",
        type=click.Path(path_type=Path, file_okay=False),
        required=True,
        metavar="DIR",
        help="Keep features here: they are computed once for each network.",
    )(command)


def parse_counts(text: str) -> tuple[int, ...]:
    """Read numbers of corrected images, separated by commas; none for an empty text."""
    try:
        counts = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        counts = (0,)
    if any(count < 1 for count in counts):
        raise ValueError(f"expected numbers of images, such as 1,3,5, got {text!r}")
    return counts


def parse_names(text: str) -> tuple[str, ...]:
    """Read names, separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
