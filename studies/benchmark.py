"""The command `python -m studies benchmark`: how fast the occlusion map is, and how exact."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from studies.benchmark_comparison import SLOW, Row, compare, in_process, name_of, with_method
from studies.benchmark_methods import Task
from studies.benchmark_report import OtherStages, report, section, table
from studies.marked_section import around, put_into

ARCHS = ("vgg19", "vgg16", "resnet18", "squeezenet1_1")


@click.command()
@click.option(
    "--arch",
    "archs",
    multiple=True,
    metavar="NAME",
    help=f"Network to measure; may be repeated. Default: {', '.join(ARCHS)}.",
)
@click.option("--weights", help="Weights file for the one --arch. Default: random weights.")
@click.option(
    "--image",
    "images",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Image to measure on; may be repeated. Default: a drawing.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help=f"Methods that take longer than {SLOW:g} s run in the first round only.",
)
@click.option(
    "--without",
    multiple=True,
    metavar="METHOD",
    help="Leave out a method, or leave it out for one network, as in vgg16:dense; may be repeated.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the rows to this file.",
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Put the tables into this Markdown file, between the marks that it has for them.",
)
def benchmark(
    archs: tuple[str, ...],
    weights: str | None,
    images: tuple[Path, ...],
    rounds: int,
    without: tuple[str, ...],
    json_file: Path | None,
    report_file: Path | None,
) -> None:
    """Measure how fast and how exact the occlusion map is, and print a table."""
    archs = archs or ARCHS
    if weights and len(archs) > 1:
        raise ValueError(f"expected one --arch with --weights, got {len(archs)}")
    if report_file:
        around(report_file, section(weights))  # raises now, not after half an hour
    rows: list[Row] = []
    rest: list[OtherStages] = []
    for arch in archs:
        for image in images or (None,):
            base = Task(arch, "dense", weights, str(image) if image else None)
            rows += compare(base, rounds, leave_out=without)
            seconds = [
                in_process(with_method(base, name)).seconds for name in ("poster", "default")
            ]
            rest.append(OtherStages(arch, name_of(base), *seconds))
            # After every image, so that a run that is interrupted leaves its results.
            if json_file:
                json_file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
            if report_file:
                put_into(report_file, report(rows, rest, weights), section(weights))
    print(table(rows))
