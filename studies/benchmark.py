"""The command `python -m studies benchmark`: how fast the occlusion map is, and how exact.

Each method runs in its own process, one after the other, round after round, so that other load on
the machine affects all of them alike.
"""

import json
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import click
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from studies.benchmark_ways import Outcome, Task, installed

ARCHS = ("vgg19", "vgg16", "resnet18", "squeezenet1_1")
CAPTUM_BATCHES = (1, 8, 32)
POINTS = 20
OURS = ("incremental", "float32")

# Side and stride of the fewer patches on which captum's best batch size is found, px.
SAMPLE = 28

# Methods that take longer run in the first round only, s.
SLOW = 10.0


@dataclass(frozen=True)
class Row:
    """One method on one network and image.

    Attributes:
        image: name of the file, or "drawing".
        method: name of the method, with the batch size for captum.
        precision: of the products, "float32" or "bfloat16".
        rounds: how often it ran.
        seconds: for one image, median of the rounds.
        prepare_seconds: preparation, once for a network.
        peak_mb: peak memory of its process.
        max_abs_diff: largest difference of a probability from captum's; None without captum.
        ratio_to_captum: how many times as fast as captum, median of the rounds.
        tera_operations: multiplications and additions for one image, 10¹².
        share_of_peak: operations a second, as a share of the highest rate of a convolution.
        rank_correlation: Spearman correlation of the falls with captum's.
        same_points: share of the 20 best keypoints of captum's map that are also among the 20
            best here.
    """

    arch: str
    image: str
    method: str
    precision: str
    rounds: int
    seconds: float
    prepare_seconds: float
    peak_mb: float
    max_abs_diff: float | None
    ratio_to_captum: float | None
    tera_operations: float
    share_of_peak: float
    rank_correlation: float | None
    same_points: float | None


@dataclass(frozen=True)
class Rest:
    """Time that an image takes from file to keypoints, besides the occlusion map.

    Attributes:
        poster_seconds: preset `poster` without its occlusion map.
        default_seconds: preset `default`, which has no occlusion map.
    """

    arch: str
    image: str
    poster_seconds: float
    default_seconds: float


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
        around_measured(report_file, weights)  # raises now, not after half an hour
    rows: list[Row] = []
    rest: list[Rest] = []
    for arch in archs:
        for image in images or (None,):
            base = Task(arch, "dense", weights, str(image) if image else None)
            rows += compare(base, rounds, leave_out=without)
            seconds = [in_process(with_way(base, name)).seconds for name in ("poster", "default")]
            rest.append(Rest(arch, name_of(base), *seconds))
            # After every image, so that a run that is interrupted leaves its results.
            if json_file:
                json_file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
            if report_file:
                put_into(report_file, report(rows, rest, weights), weights)
    print(table(rows))


def name_of(task: Task) -> str:
    """Return the name of a task's image."""
    return Path(task.image).stem if task.image else "drawing"


def with_way(base: Task, way: str, precision: str = "float32", batch: int = 8) -> Task:
    """Return a task on the same network and image with another method."""
    return replace(base, way=way, precision=precision, batch=batch)


def tasks_of(base: Task, leave_out: Sequence[str]) -> list[Task]:
    """Return a task for each method that is installed and not left out.

    Captum gets its best batch size.
    """
    tasks = [with_way(base, "captum")]
    tasks += [with_way(base, way) for way in ("dense", "incremental")]
    tasks += [with_way(base, "incremental", "bfloat16")]
    tasks += [with_way(base, way) for way in ("onnxruntime", "openvino")]
    return [
        with_best_batch(task) if task.way == "captum" else task
        for task in tasks
        if not {task.way, f"{task.arch}:{task.way}"} & set(leave_out) and installed(task.way)
    ]


def with_best_batch(captum: Task) -> Task:
    """Return the task with the batch size that is fastest on a tenth as many patches."""
    tried = [replace(captum, batch=batch, window=SAMPLE, stride=SAMPLE) for batch in CAPTUM_BATCHES]
    best = min(tried, key=lambda task: in_process(task).seconds)
    return replace(captum, batch=best.batch)


def compare(base: Task, rounds: int, leave_out: Sequence[str]) -> list[Row]:
    """Run all methods in turn, round after round; slow ones in the first round only."""
    tasks = tasks_of(base, leave_out)
    outcomes: dict[Task, list[Outcome]] = {task: [] for task in tasks}
    for _ in range(rounds):
        for task in tqdm(tasks, desc=f"{base.arch}, {name_of(base)}", disable=None):
            if not outcomes[task] or outcomes[task][0].seconds <= SLOW:
                outcomes[task].append(in_process(task))
    peaks = {
        precision: in_process(with_way(base, "peak", precision)).tera_operations
        for precision in {task.precision for task in tasks}
    }
    captum = next((outcomes[task] for task in tasks if task.way == "captum"), None)
    return [row_of(task, outcomes[task], captum, peaks[task.precision]) for task in tasks]


def in_process(task: Task) -> Outcome:
    """Run a task in a process of its own.

    Raises:
        ChildProcessError: the process failed; the message ends with its last line of stderr.
    """
    command = [sys.executable, "-m", "studies.benchmark_ways", json.dumps(asdict(task))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ChildProcessError(
            f"expected {task.way} on {task.arch} to be measured, but its process ended with status "
            f"{done.returncode}: {reason}"
        )
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def row_of(
    task: Task, outcomes: Sequence[Outcome], captum: Sequence[Outcome] | None, peak: float
) -> Row:
    """Return medians over the rounds, and the differences from captum."""
    seconds = median(outcome.seconds for outcome in outcomes)
    last = outcomes[-1]
    falls = np.array(last.falls)
    reference = np.array(captum[-1].falls) if captum else None
    return Row(
        arch=task.arch,
        image=name_of(task),
        method=f"captum, batch {task.batch}" if task.way == "captum" else task.way,
        precision=task.precision,
        rounds=len(outcomes),
        seconds=seconds,
        prepare_seconds=median(outcome.prepare_seconds for outcome in outcomes),
        peak_mb=max(outcome.peak_mb for outcome in outcomes),
        max_abs_diff=None if reference is None else float(np.abs(falls - reference).max()),
        ratio_to_captum=ratio(captum, outcomes) if captum else None,
        tera_operations=last.tera_operations,
        share_of_peak=last.tera_operations / seconds / peak,
        rank_correlation=None if reference is None else rank_correlation(falls, reference),
        same_points=same_points(last, captum[-1]) if captum else None,
    )


def ratio(slow: Sequence[Outcome], fast: Sequence[Outcome]) -> float:
    """Return how many times as fast `fast` is: the median of the ratios round by round.

    If one of the two ran fewer rounds, its last round stands for the missing ones.
    """
    rounds = max(len(slow), len(fast))
    pairs = (
        (outcomes[min(number, len(outcomes) - 1)].seconds for outcomes in (slow, fast))
        for number in range(rounds)
    )
    return median(one / other for one, other in pairs)


def rank_correlation(falls: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation of two maps that have no equal values."""
    ranks, reference_ranks = (np.argsort(np.argsort(v.ravel())) for v in (falls, reference))
    centre = (falls.size - 1) / 2
    return float(np.mean((ranks - centre) * (reference_ranks - centre)) / np.var(ranks))


def same_points(outcome: Outcome, reference: Outcome) -> float:
    """Return the share of the reference's best keypoints that are among the best here.

    Two keypoints are the same if they lie on the same pixel.
    """
    found, wanted = (
        {(row, column) for row, column in (one.points or [])[:POINTS]}
        for one in (outcome, reference)
    )
    return len(found & wanted) / max(len(wanted), 1)


COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("network", lambda row: row.arch),
    ("image", lambda row: row.image),
    ("way", lambda row: row.method),
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


def report(rows: Sequence[Row], rest: Sequence[Rest], weights: str | None) -> str:
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


def put_into(path: Path, text: str, weights: str | None) -> None:
    """Replace the text between two marks of a Markdown file."""
    before, after = around_measured(path, weights)
    path.write_text(f"{before}\n{text}\n{after}")


def around_measured(path: Path, weights: str | None) -> tuple[str, str]:
    """Split a Markdown file at the two marks that enclose the figures.

    Returns:
        The text up to and with the first mark; the text from the second mark on.

    Raises:
        ValueError: the file has no such marks.
    """
    what = "with trained weights" if weights else "with random weights"
    first, last = f"<!-- measured {what} -->", f"<!-- end of what was measured {what} -->"
    before, begin, rest = path.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"expected the lines {first} and {last} in {path}, to write between them")
    return before + begin, end + after
