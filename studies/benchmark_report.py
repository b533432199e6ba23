"""The results of the benchmark as Markdown, and their place in a Markdown file."""

import platform
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from studies.benchmark_comparison import Row

OURS = ("incremental", "float32")


@dataclass(frozen=True)
class OtherStages:
    """Time that an image takes from file to keypoints, besides the occlusion map.

    Attributes:
        poster_seconds: preset `poster` without its occlusion map.
        default_seconds: preset `default`, which has no occlusion map.
    """

    arch: str
    image: str
    poster_seconds: float
    default_seconds: float


COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("network", lambda row: row.arch),
    ("image", lambda row: row.image),
    ("method", lambda row: row.method),
    ("products", lambda row: row.precision),
    ("rounds", lambda row: str(row.rounds)),
    ("seconds", lambda row: f"{row.seconds:.2f}"),
    ("times captum", lambda row: number(row.ratio_to_captum, ".1f")),
    ("peak MB", lambda row: f"{row.peak_mb:.0f}"),
    ("tera operations", lambda row: f"{row.tera_operations:.2f}"),
    ("of peak", lambda row: f"{row.share_of_peak:.0%}"),
    ("largest difference", lambda row: number(row.max_abs_diff, ".1e")),
    ("rank correlation", lambda row: number(row.rank_correlation, ".4f")),
    ("same top 20", lambda row: number(row.same_points, ".0%")),
    ("prepare s", lambda row: f"{row.prepare_seconds:.1f}"),
)


def number(value: float | None, form: str) -> str:
    """Format a number; None becomes a dash."""
    return "–" if value is None else format(value, form)


def table(rows: Iterable[Row]) -> str:
    """Return a Markdown table of all rows."""
    lines = [" | ".join(title for title, _ in COLUMNS), " | ".join("---" for _ in COLUMNS)]
    lines += [" | ".join(text(row) for _, text in COLUMNS) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def report(rows: Sequence[Row], rest: Sequence[OtherStages], weights: str | None) -> str:
    """Return the results and the machine in Markdown."""
    of_weights = f"weights of {Path(weights).name}" if weights else "random weights"
    peaks = " and ".join(
        f"{max(rate(row) for row in rows if row.precision == precision):.2f} ({precision})"
        for precision in dict.fromkeys(row.precision for row in rows)
    )
    lines = [
        f"Measured on {processor()}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}, {of_weights}. A convolution reached {peaks} tera operations a "
        f"second.",
        "",
        table(rows),
        "",
        "Preset `poster` from file to keypoints, and the same without the map; preset `default`:",
        "",
        "| network | image | poster, s | without the map, s | share | default, s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in rest:
        case = (one.arch, one.image, *OURS)
        ours = [r.seconds for r in rows if (r.arch, r.image, r.method, r.precision) == case]
        whole = one.poster_seconds + ours[0] if ours else None
        share = "–" if whole is None else f"{one.poster_seconds / whole:.0%}"
        lines.append(
            f"| {one.arch} | {one.image} | {number(whole, '.2f')} | {one.poster_seconds:.2f} "
            f"| {share} | {one.default_seconds:.2f} |"
        )
    return "\n".join(lines)


def rate(row: Row) -> float:
    """Return the rate of a convolution when a row was measured, 10¹² operations a second."""
    return row.tera_operations / row.seconds / row.share_of_peak


def processor() -> str:
    """Return the name of the processor."""
    facts = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", facts.read_text()) if facts.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def section(weights: str | None) -> str:
    """Return the name of the section of the document that holds the figures."""
    return "with trained weights" if weights else "with random weights"
