"""The study's page, its CSV and its plots."""

import csv
from collections.abc import Sequence
from pathlib import Path

from studies.naming.accuracy import RADII, Row
from studies.naming.plots import plot_accuracy, plot_reliability, plot_savings
from studies.naming.sequence import Suggested
from studies.naming.tables import (
    accuracy_table,
    calibration_table,
    savings_table,
    stretches_table,
    thresholds_table,
)

# The reliability plot shows images with at least so many corrected ones before them.
CALIBRATED_FROM = 10


def markdown(rows: Sequence[Row], suggested: Sequence[Suggested]) -> str:
    """Return the tables, each with a line that says what it shows."""
    parts = []
    if rows:
        parts += [
            "Visible landmarks with a suggestion of their name within 0.05 / 0.10 of the longer "
            "side of the box, in %, mean ± standard error over draws (mean error in box "
            "lengths):\n",
            accuracy_table(rows),
        ]
    if suggested:
        count = len({each.sequence for each in suggested})
        images = max(each.position for each in suggested) + 1
        parts += [
            f"Scores in {count} random sequences of {images} images, each suggested from those "
            "before it:\n",
            calibration_table(suggested),
            "Change of the time against working from scratch, under five cost models, with 95 % "
            "intervals over images:\n",
            savings_table(suggested),
            "By stretch of the sequence, standard costs:\n",
            stretches_table(suggested),
        ]
    if any(each.position >= CALIBRATED_FROM for each in suggested):
        parts += [
            "With a least score (`threshold`) beside the expected cost, standard costs, from ten "
            "corrected images on:\n",
            thresholds_table(suggested),
        ]
    return "\n".join(parts)


def publish(
    page: Path, name: str, tables: str, rows: Sequence[Row], suggested: Sequence[Suggested]
) -> None:
    """Replace a data set's section of a page, and write its plots beside the page.

    Raises:
        ValueError: the page lacks the section's markers.
    """
    stem = "learning-" + name.replace(", ", "-").replace(" ", "-")
    plots = []
    if rows:
        plots.append("accuracy")
        plot_accuracy(rows, page.with_name(f"{stem}-accuracy.png"))
    if suggested:
        plots.append("savings")
        plot_savings(suggested, page.with_name(f"{stem}-savings.png"))
    late = [each for each in suggested if each.position >= CALIBRATED_FROM]
    if late:
        plots.append("reliability")
        plot_reliability(late, page.with_name(f"{stem}-reliability.png"))
    pictures = "\n".join(f"![{plot}]({stem}-{plot}.png)" for plot in plots)
    put_section(page, name, f"{tables}\n{pictures}")


def put_section(page: Path, name: str, section: str) -> None:
    """Replace a section of a page.

    Raises:
        ValueError: the page lacks the section's markers.
    """
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- begin of {name} -->", f"<!-- end of {name} -->"
    if begin not in text or end not in text:
        raise ValueError(f"expected the lines {begin} and {end} in {page}: add them")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n\n{section}\n\n{end}{after}", encoding="utf-8")


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write a row for each image, draw and method."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                *("method", "setting", "corrected", "draw", "class", "image", "visible"),
                *(f"within_{radius}" for radius in RADII),
                *("suggested", "error_sum"),
            ]
        )
        for row in rows:
            facts = (row.method, row.setting, row.corrected, row.draw, row.class_name, row.image)
            within = (row.within[radius] for radius in RADII)
            writer.writerow([*facts, row.visible, *within, row.suggested, f"{row.error:.4f}"])
