"""The command `python -m model benchmark`: how fast the occlusion map is, and how exact.

Every way runs in a process of its own, one after the other, round after round, so that what else
happens on the machine meets all of them alike.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from studies.benchmark_ways import Outcome, Task, installed

ARCHS = ("vgg19", "vgg16", "resnet18", "squeezenet1_1")
CAPTUM_BATCHES = (1, 8, 32)
POINTS = 20
OURS = ("incremental", "float32")

# captum's best batch is found out on fewer patches, of so many pixels and as far apart.
SAMPLE = 28

# What takes longer runs in the first round alone, s.
SLOW = 10.0


@dataclass(frozen=True)
class Row:
    """One way to one network's map.

    Attributes:
        image: name of the file, or "drawing".
        rounds: how often it ran.
        seconds: for one image, median of the rounds.
        prepare_seconds: once for a network.
        peak_mb: most memory that its process held.
        max_abs_diff: largest difference of a probability to captum's; None without captum.
        ratio_to_captum: how many times as fast as captum, median of the rounds.
        tera_operations: multiplications and additions for one image, 10¹².
        share_of_peak: operations a second, as a share of the most that a convolution reached.
        rank_correlation: Spearman's, of the falls, with captum's.
        same_points: share of the 20 keypoints of highest score with captum's map that are the same.
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
    """What else an image takes, from file to keypoints.

    Attributes:
        poster_seconds: of the poster's detector, all but the occlusion map.
        default_seconds: of the preset `default`, which has no occlusion map.
    """

    arch: str
    image: str
    poster_seconds: float
    default_seconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--arch", action="append", metavar="NAME", help=f"default {', '.join(ARCHS)}"
    )
    parser.add_argument("--weights", help="of the one architecture; random weights without it")
    parser.add_argument(
        "--image", action="append", type=Path, metavar="FILE", help="default: a drawing"
    )
    parser.add_argument(
        "--rounds",
        type=positive,
        default=3,
        metavar="N",
        help=f"default 3; what takes longer than {SLOW:g} s runs in the first alone",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="METHOD",
        help="leave a method out, or for one network alone, as in vgg16:dense",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="put the tables into a Markdown file"
    )


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Compare the ways, print a table, and write what was asked for.

    Raises:
        ValueError: weights for several architectures, or no place in the report.
        ChildProcessError: a process failed.
    """
    archs = arguments.arch or ARCHS
    if arguments.weights and len(archs) > 1:
        raise ValueError(f"expected one --arch with --weights, got {len(archs)}")
    if arguments.report:
        around_measured(arguments.report, arguments.weights)  # fails before half an hour is spent
    rows: list[Row] = []
    rest: list[Rest] = []
    for arch in archs:
        for image in arguments.image or [None]:
            base = Task(arch, "dense", arguments.weights, str(image) if image else None)
            rows += compare(base, arguments.rounds, leave_out=arguments.without)
            seconds = [in_process(with_way(base, name)).seconds for name in ("poster", "default")]
            rest.append(Rest(arch, name_of(base), *seconds))
            write(arguments, rows, rest)  # also what there is when the rest is not waited for
    print(table(rows))
    return 0


def write(arguments: argparse.Namespace, rows: Sequence[Row], rest: Sequence[Rest]) -> None:
    """Write the files that were asked for."""
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if arguments.report:
        put_into(arguments.report, report(rows, rest, arguments.weights), arguments.weights)


def name_of(task: Task) -> str:
    """Name of a task's image."""
    return Path(task.image).stem if task.image else "drawing"


def with_way(base: Task, way: str, precision: str = "float32", batch: int = 8) -> Task:
    """The same network and image, gone another way."""
    return replace(base, way=way, precision=precision, batch=batch)


def tasks_of(base: Task, leave_out: Sequence[str]) -> list[Task]:
    """Every way that is installed and not left out; captum with the best batch size."""
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
    """The same with the batch size that is fastest on a tenth as many patches."""
    tried = [replace(captum, batch=batch, window=SAMPLE, stride=SAMPLE) for batch in CAPTUM_BATCHES]
    best = min(tried, key=lambda task: in_process(task).seconds)
    return replace(captum, batch=best.batch)


def compare(base: Task, rounds: int, leave_out: Sequence[str]) -> list[Row]:
    """Run all ways in turn, round after round; those that are slow, once."""
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
    """Do a task in a process of its own.

    Raises:
        ChildProcessError: it failed; the message holds what it said.
    """
    command = [sys.executable, "-m", "studies.benchmark_ways", json.dumps(asdict(task))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-5:]
        raise ChildProcessError(f"{task} failed with status {done.returncode}: {' | '.join(said)}")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def row_of(
    task: Task, outcomes: Sequence[Outcome], captum: Sequence[Outcome] | None, peak: float
) -> Row:
    """Medians over the rounds, and what differs from captum."""
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
    """How many times as fast: median of the rounds, each against its own.

    Where one of both ran in the first rounds alone, its last stands for those that it left out.
    """
    rounds = max(len(slow), len(fast))
    pairs = (
        (outcomes[min(number, len(outcomes) - 1)].seconds for outcomes in (slow, fast))
        for number in range(rounds)
    )
    return median(one / other for one, other in pairs)


def rank_correlation(falls: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Spearman's, of maps without equal values."""
    ranks, reference_ranks = (np.argsort(np.argsort(v.ravel())) for v in (falls, reference))
    centre = (falls.size - 1) / 2
    return float(np.mean((ranks - centre) * (reference_ranks - centre)) / np.var(ranks))


def same_points(outcome: Outcome, reference: Outcome) -> float:
    """Share of the reference's highest keypoints that are among as many here, to the pixel."""
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
    """A number, or a dash where there is none."""
    return "–" if value is None else format(value, form)


def table(rows: Iterable[Row]) -> str:
    """A Markdown table of all rows."""
    lines = [" | ".join(title for title, _ in COLUMNS), " | ".join("---" for _ in COLUMNS)]
    lines += [" | ".join(text(row) for _, text in COLUMNS) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def report(rows: Sequence[Row], rest: Sequence[Rest], weights: str | None) -> str:
    """What was measured, on what, in Markdown."""
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
        "Preset `poster`, from file to keypoints, and of that all but the map; preset `default`:",
        "",
        "| network | image | poster, s | but the map, s | share | default, s |",
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
    """What a convolution reached when a row was measured, 10¹² operations a second."""
    return row.tera_operations / row.seconds / row.share_of_peak


def processor() -> str:
    """The processor's name, as the system has it."""
    facts = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", facts.read_text()) if facts.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def put_into(path: Path, text: str, weights: str | None) -> None:
    """Replace what stands between two marks of a Markdown file."""
    before, after = around_measured(path, weights)
    path.write_text(f"{before}\n{text}\n{after}")


def around_measured(path: Path, weights: str | None) -> tuple[str, str]:
    """A Markdown file up to and from the marks between which figures stand.

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
