"""The command `python -m studies agreement-coverage`: how often intervals hold the true figure."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import click
from tqdm import tqdm

from studies import recorded_worlds
from studies.coverage import costs, differences, distances, drift, labels, shares, tables, times
from studies.coverage.counting import CORRELATIONS, IMAGES, study
from studies.coverage.figure import Figure
from studies.coverage.world import SIZES
from studies.data_options import AT_LEAST_ONE
from studies.marked_section import around, put_into
from studies.recorded_worlds import recorded_coverage

SUBJECTS: Mapping[str, Sequence[Figure]] = {
    "shares": shares.FIGURES,
    "distances": distances.FIGURES,
    "times": times.FIGURES,
    "differences": differences.FIGURES,
    "costs": costs.FIGURES,
    "labels": labels.FIGURES,
    "drift": drift.FIGURES,
}
RECORDED = "recorded"
RECORDED_IMAGES, RECORDED_CORRELATION = 20, 0.2


@click.command("agreement-coverage")
@click.option(
    "--worlds",
    type=AT_LEAST_ONE,
    default=2000,
    show_default=True,
    metavar="N",
    help="Worlds of each kind.",
)
@click.option(
    "--recorded",
    "recorded_count",
    type=AT_LEAST_ONE,
    default=100,
    show_default=True,
    metavar="N",
    help="Worlds that go as annotations through the recorder, a second each.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the random numbers.")
@click.option(
    "--only",
    type=click.Choice([*SUBJECTS, RECORDED]),
    multiple=True,
    help="Subjects to measure; several times for several. Default: all.",
)
@click.option(
    "--report",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Replace the tables of these subjects in this Markdown file, between their marks.",
)
def agreement_coverage(
    worlds: int, recorded_count: int, seed: int, only: Sequence[str], path: Path | None
) -> None:
    """Measure how often the intervals of the agreement report hold the true figure.

    Draws worlds whose truth is known: 5 to 200 images, ICC 0 to 0.4. Prints tables as Markdown.
    """
    measures: dict[str, Callable[[], str]] = {
        RECORDED: partial(recorded, recorded_count, seed),
        **{name: partial(drawn, name, worlds, seed) for name in SUBJECTS},
    }
    chosen = [name for name in measures if not only or name in only]
    if path:
        for name in chosen:
            around(path, name)  # a page without a place is refused before minutes of work
    for name in chosen:
        text = measures[name]()
        print(f"{name}:\n\n{text}\n")
        if path:
            put_into(path, f"\n{text}\n", name)


def drawn(subject: str, worlds: int, seed: int) -> str:
    """Return the tables of one subject."""
    figures = SUBJECTS[subject]
    count = len(figures) * len(SIZES) * len(CORRELATIONS) * len(IMAGES)
    rows = list(tqdm(study(figures, worlds, seed), desc=subject, total=count, disable=None))
    return tables.report(rows, worlds)


def recorded(worlds: int, seed: int) -> str:
    """Return the table of the worlds that the recorder judged."""
    rows = recorded_coverage(worlds, RECORDED_IMAGES, RECORDED_CORRELATION, seed)
    facts = (
        f"{worlds} worlds of {RECORDED_IMAGES} images with ICC {RECORDED_CORRELATION:g}, as "
        "annotations through the recorder, SQLite and the report; coverage in %:"
    )
    return "\n".join([facts, "", *recorded_worlds.table(rows)])
