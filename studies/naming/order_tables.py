"""The study of annotation orders as Markdown and as CSV."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from studies.naming.accuracy import RADII
from studies.naming.order_gain import Estimate, curves, draws_of, gain
from studies.naming.ordering import RANDOM, Progress
from studies.naming.tables import table


def order_page(rows: Sequence[Progress]) -> str:
    """Return the tables, each with a line that says what it shows."""
    rules = list(dict.fromkeys(row.rule for row in rows))
    return "\n".join(
        [
            "Visible landmarks of the test images within 0.05 of the longer side of the box, in %, "
            "by annotated images: in random order, mean over draws; other orders, percentage "
            "points more than random in the same draws, with 95 % intervals:\n",
            _shares(rows, rules),
            "Images saved at the same share of landmarks found, from the mean over these numbers "
            "of images, and change of the time that annotating takes up to the last of them "
            "(standard costs, worthwhile suggestions shown):\n",
            _savings(rows, rules),
        ]
    )


def _shares(rows: Sequence[Progress], rules: Sequence[str]) -> str:
    random = curves(rows, RANDOM, RADII[0], draws_of(rows, RANDOM))
    head = ["order (draws)", *(f"{count:.0f}" for count in random.counts), "mean"]
    means = random.share.mean(axis=0)
    lines = [
        [
            f"{RANDOM} ({len(random.share)})",
            *(f"{mean:.1f}" for mean in means),
            f"{means.mean():.1f}",
        ]
    ]
    for rule in rules:
        if rule != RANDOM:
            found = gain(rows, rule, RADII[0])
            cells = [_points(each) for each in (*found.share, found.mean_share)]
            lines.append([f"{rule} ({found.draws})", *cells])
    return table(head, lines)


def _savings(rows: Sequence[Progress], rules: Sequence[str]) -> str:
    head = ["order", *(f"images saved, within {radius:.2f}" for radius in RADII), "time"]
    lines = []
    for rule in rules:
        if rule != RANDOM:
            found = [gain(rows, rule, radius) for radius in RADII]
            saved = [f"{_percent(each.fewer_images)}" for each in found]
            lines.append([rule, *saved, _percent(found[0].seconds)])
    return table(head, lines)


def _points(found: Estimate) -> str:
    return f"{found.mean:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"


def _percent(found: Estimate) -> str:
    return f"{found.mean:+.0f} % [{found.low:+.0f}, {found.high:+.0f}]"


def written(rows: Iterable[Progress], path: Path) -> Iterator[Progress]:
    """Write each row to a CSV file as it comes, and pass it on."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        within = [f"within_{radius}" for radius in RADII]
        writer.writerow(["order", "draw", "group", "annotated", "visible", *within, "seconds"])
        for row in rows:
            found = [row.within[radius] for radius in RADII]
            facts = (row.rule, row.draw, row.group, row.annotated, row.visible, *found)
            writer.writerow([*facts, f"{row.seconds:.2f}"])
            file.flush()
            yield row
