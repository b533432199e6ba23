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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model.benchmark_ways import SIDE, STRIDE, WINDOW, Outcome, Task, installed
from model.nms import ranked_peaks
from model.occlusion import spread_over_pixels
from model.settings import DetectorSettings

ARCHS = ("vgg19", "vgg16", "resnet18", "squeezenet1_1")
CAPTUM_BATCHES = (1, 8, 32)
POINTS = 20
OURS = ("incremental", "float32")


@dataclass(frozen=True)
class Row:
    """One way to one network's map.

    Attributes:
        seconds: for one image, median of the rounds.
        prepare_seconds: once for a network.
        peak_mb: most memory that its process held.
        max_abs_diff: largest difference of a probability to captum's; None without captum.
        ratio_to_captum: how many times as fast as captum, median of the rounds.
        tera_operations: multiplications and additions for one image, 10¹².
        share_of_peak: operations a second, as a share of what a convolution reaches here.
        rank_correlation: Spearman's, of the falls, with captum's.
        same_points: share of captum's 20 highest peaks of the map that are the same here.
    """

    arch: str
    method: str
    precision: str
    seconds: float
    prepare_seconds: float
    peak_mb: float
    max_abs_diff: float | None
    ratio_to_captum: float | None
    tera_operations: float
    share_of_peak: float
    rank_correlation: float | None
    same_points: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--arch", action="append", metavar="NAME", help=f"default {', '.join(ARCHS)}"
    )
    parser.add_argument("--weights", help="of the one architecture; random weights without it")
    parser.add_argument("--image", type=Path, help="default: a drawing")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="default 3")
    parser.add_argument(
        "--without", action="append", default=[], metavar="METHOD", help="leave a method out"
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
        ValueError: weights for several architectures.
        ChildProcessError: a process failed.
    """
    archs = arguments.arch or ARCHS
    if arguments.weights and len(archs) > 1:
        raise ValueError(f"expected one --arch with --weights, got {len(archs)}")
    rows, rest = [], {}
    for arch in archs:
        base = Task(
            arch=arch,
            way="dense",
            weights=arguments.weights,
            image=str(arguments.image) if arguments.image else None,
        )
        rows += compare(base, arguments.rounds, leave_out=arguments.without)
        rest[arch] = in_process(with_way(base, "pipeline")).seconds
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if arguments.report:
        put_into(arguments.report, report(rows, rest, arguments.rounds))
    return 0


def with_way(base: Task, way: str, precision: str = "float32", batch: int = 8) -> Task:
    """The same network and image, gone another way."""
    return replace(base, way=way, precision=precision, batch=batch)


def tasks_of(base: Task, leave_out: Sequence[str]) -> list[Task]:
    """Every way that is installed and not left out; captum with several batch sizes."""
    tasks = [with_way(base, "captum", batch=batch) for batch in CAPTUM_BATCHES]
    tasks += [with_way(base, way) for way in ("dense", "incremental")]
    tasks += [with_way(base, "incremental", "bfloat16")]
    tasks += [with_way(base, way) for way in ("onnxruntime", "openvino")]
    return [task for task in tasks if task.way not in leave_out and installed(task.way)]


def compare(base: Task, rounds: int, leave_out: Sequence[str]) -> list[Row]:
    """Run all ways in turn, round after round; of captum, soon only the best batch."""
    tasks = tasks_of(base, leave_out)
    outcomes: dict[Task, list[Outcome]] = {task: [] for task in tasks}
    for _ in range(rounds):
        for task in tqdm(tasks, desc=base.arch, disable=None):
            outcomes[task].append(in_process(task))
        tasks = without_slow_captum(tasks, outcomes)
    peaks = {
        precision: in_process(with_way(base, "peak", precision)).tera_operations
        for precision in {task.precision for task in tasks}
    }
    captum = next((outcomes[task] for task in tasks if task.way == "captum"), None)
    return [row_of(task, outcomes[task], captum, peaks[task.precision]) for task in tasks]


def without_slow_captum(
    tasks: Sequence[Task], outcomes: Mapping[Task, Sequence[Outcome]]
) -> list[Task]:
    """Keep captum's best batch size alone."""
    captum = [task for task in tasks if task.way == "captum"]
    best = min(captum, key=lambda task: outcomes[task][0].seconds, default=None)
    return [task for task in tasks if task.way != "captum" or task == best]


def in_process(task: Task) -> Outcome:
    """Do a task in a process of its own.

    Raises:
        ChildProcessError: it failed; the message holds what it said.
    """
    command = [sys.executable, "-m", "model.benchmark_ways", json.dumps(asdict(task))]
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
        method=f"captum, batch {task.batch}" if task.way == "captum" else task.way,
        precision=task.precision,
        seconds=seconds,
        prepare_seconds=median(outcome.prepare_seconds for outcome in outcomes),
        peak_mb=max(outcome.peak_mb for outcome in outcomes),
        max_abs_diff=None if reference is None else float(np.abs(falls - reference).max()),
        ratio_to_captum=ratio(captum, outcomes) if captum else None,
        tera_operations=last.tera_operations,
        share_of_peak=last.tera_operations / seconds / peak,
        rank_correlation=None if reference is None else rank_correlation(falls, reference),
        same_points=None if reference is None else same_points(falls, reference),
    )


def ratio(slow: Sequence[Outcome], fast: Sequence[Outcome]) -> float:
    """How many times as fast: median of the rounds, each against its own."""
    return median(one.seconds / other.seconds for one, other in zip(slow, fast, strict=True))


def rank_correlation(falls: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Spearman's, of maps without equal values."""
    ranks, reference_ranks = (np.argsort(np.argsort(v.ravel())) for v in (falls, reference))
    centre = (falls.size - 1) / 2
    return float(np.mean((ranks - centre) * (reference_ranks - centre)) / np.var(ranks))


def same_points(falls: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Share of the highest peaks of one occlusion map that are peaks of the other as well."""
    found, wanted = (
        {tuple(peak) for peak in highest_peaks(values)} for values in (falls, reference)
    )
    return len(found & wanted) / len(wanted)


def highest_peaks(falls: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Row and column of the highest peaks of the map that the falls make."""
    drops = torch.from_numpy(falls).clamp(min=0)
    heat = spread_over_pixels(drops, SIDE, SIDE, window=WINDOW, stride=STRIDE).numpy()
    peaks = ranked_peaks(heat, radius=DetectorSettings().nms_radius * SIDE)[:POINTS]
    return [(int(row), int(column)) for row, column in peaks]


COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("network", lambda row: row.arch),
    ("way", lambda row: row.method),
    ("products", lambda row: row.precision),
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


def report(rows: Sequence[Row], rest: Mapping[str, float], rounds: int) -> str:
    """What was measured, on what, in Markdown."""
    lines = [
        f"Measured on {processor()}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}; {rounds} rounds, medians.",
        "",
        table(rows),
        "",
        "| network | the rest of the detector, s | share of the whole |",
        "| --- | --- | --- |",
    ]
    for arch, seconds in rest.items():
        ours = [r.seconds for r in rows if (r.arch, r.method, r.precision) == (arch, *OURS)]
        share = f"{seconds / (seconds + ours[0]):.0%}" if ours else "–"
        lines.append(f"| {arch} | {seconds:.2f} | {share} |")
    return "\n".join(lines)


def processor() -> str:
    """The processor's name, as the system has it."""
    facts = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", facts.read_text()) if facts.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


BEGIN, END = "<!-- measured -->", "<!-- end of what was measured -->"


def put_into(path: Path, text: str) -> None:
    """Replace what stands between two marks of a Markdown file.

    Raises:
        ValueError: the file has no such marks.
    """
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the lines {BEGIN} and {END} in {path}, to write between them")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
