"""The tables of coverage as Markdown."""

import math
from collections.abc import Iterator, Sequence

from studies.coverage.counting import WANTED, Coverage


def percent(share: float) -> str:
    """Return a share as percent, a dash for nan."""
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def span(shares: Sequence[float]) -> str:
    """Return the lowest and highest of shares as percent."""
    known = [share for share in shares if not math.isnan(share)]
    return f"{percent(min(known))} to {percent(max(known))}" if known else "–"


def summary(rows: Sequence[Coverage]) -> Iterator[str]:
    """Yield the lines of a table with a row a figure, without those that few images give."""
    yield "| figure | from | ours | m − 1 degrees | images ignored |"
    yield "|---|---|---|---|---|"
    for figure in dict.fromkeys(row.figure for row in rows):
        kept = [row for row in rows if row.figure == figure and row.images >= figure.fewest]
        spans = (
            span([getattr(row, part) for row in kept])
            for part in ("covered", "textbook", "unclustered")
        )
        yield f"| {figure.name} | {figure.fewest} images | {' | '.join(spans)} |"


def cell(found: Coverage) -> str:
    """Return coverage ± its error, the mean width, and the share given where it is not all."""
    if math.isnan(found.covered):
        return "none"
    text = f"{percent(found.covered)} ± {100 * found.error:.1f}"
    if not math.isnan(found.width):
        text += f"; {found.width:.3g}"
    return text if found.given == 1 else f"{text} ({100 * found.given:.0f} % given)"


def details(rows: Sequence[Coverage]) -> Iterator[str]:
    """Yield the lines of a table with a row a kind of world, a column a number of images."""
    images = list(dict.fromkeys(row.images for row in rows))
    yield f"| figure | points | ICC | {' | '.join(f'{count} images' for count in images)} |"
    yield f"|---|---|---|{'---|' * len(images)}"
    kinds: dict[tuple[str, str, float], list[str]] = {}
    for row in rows:
        kinds.setdefault((row.figure.name, row.sizes, row.correlation), []).append(cell(row))
    for (name, sizes, correlation), cells in kinds.items():
        yield f"| {name} | {sizes} | {correlation:g} | {' | '.join(cells)} |"


def missed(rows: Sequence[Coverage]) -> Iterator[str]:
    """Yield the lines that say which coverage is not as promised."""
    wanted = f"{100 * WANTED[0]:g} to {100 * WANTED[1]:g} %"
    outside = [row for row in rows if row.is_outside]
    if not outside:
        yield f"No coverage that is promised is outside {wanted}, within twice its error."
        return
    yield f"Outside {wanted}, by more than twice its error:"
    yield ""
    for row in outside:
        yield (
            f"- {row.figure.name}, {row.sizes} points, ICC {row.correlation:g}, "
            f"{row.images} images: {percent(row.covered)} ± {100 * row.error:.1f}"
        )


def report(rows: Sequence[Coverage], worlds: int) -> str:
    """Return all tables of one subject."""
    return "\n".join(
        [
            f"{worlds} worlds of each kind. Lowest and highest coverage in %:",
            "",
            *summary(rows),
            "",
            *missed(rows),
            "",
            "Coverage in % ± its standard error; mean width of the interval:",
            "",
            *details(rows),
        ]
    )
