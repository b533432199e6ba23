"""The command `python -m drawings write`: a data set of drawings as files."""

from pathlib import Path

import click

from drawings.dataset import write_data_set


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option("--count", type=click.IntRange(min=1), required=True, help="Number of drawings.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--size",
    type=click.IntRange(min=16),
    nargs=2,
    default=(320, 240),
    show_default=True,
    metavar="WIDTH HEIGHT",
    help="Of each drawing, px.",
)
@click.option(
    "--test-share",
    type=click.FloatRange(0, 1),
    default=0.25,
    show_default=True,
    help="Share of the drawings whose split is test; the others are for training.",
)
def write(folder: Path, count: int, seed: int, size: tuple[int, int], test_share: float) -> None:
    """Write drawn vehicles to a folder: images, and annotations.csv with their landmarks."""
    write_data_set(folder, count, seed=seed, size=size, test_share=test_share, progress=True)
