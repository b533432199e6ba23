"""Compare the methods for the occlusion map on one network and image.

Each method runs in its own process, one after the other, round after round, so that other load on
the machine affects all of them alike.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from studies.benchmark_methods import Outcome, Task, installed

CAPTUM_BATCHES = (1, 8, 32)
POINTS = 20

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
        precision: precision of the products, "float32" or "bfloat16".
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


def name_of(task: Task) -> str:
    """Return the name of a task's image."""
    return Path(task.image).stem if task.image else "drawing"


def with_method(base: Task, method: str, precision: str = "float32", batch: int = 8) -> Task:
    """Return a task on the same network and image with another method."""
    return replace(base, method=method, precision=precision, batch=batch)


def tasks_of(base: Task, leave_out: Sequence[str]) -> list[Task]:
    """Return a task for each method that is installed and not left out.

    Captum gets its best batch size.
    """
    tasks = [with_method(base, "captum")]
    tasks += [with_method(base, method) for method in ("dense", "incremental")]
    tasks += [with_method(base, "incremental", "bfloat16")]
    tasks += [with_method(base, method) for method in ("onnxruntime", "openvino")]
    return [
        with_best_batch(task) if task.method == "captum" else task
        for task in tasks
        if not {task.method, f"{task.arch}:{task.method}"} & set(leave_out)
        and installed(task.method)
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
        precision: in_process(with_method(base, "peak", precision)).tera_operations
        for precision in {task.precision for task in tasks}
    }
    captum = next((outcomes[task] for task in tasks if task.method == "captum"), None)
    return [row_of(task, outcomes[task], captum, peaks[task.precision]) for task in tasks]


def in_process(task: Task) -> Outcome:
    """Run a task in a process of its own.

    Raises:
        ChildProcessError: the process failed; the message ends with its last line of stderr.
    """
    command = [sys.executable, "-m", "studies.benchmark_methods", json.dumps(asdict(task))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ChildProcessError(
            f"expected a measurement of {task.method} on {task.arch}, but its process ended with "
            f"status {done.returncode}: {reason}"
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
        method=f"captum, batch {task.batch}" if task.method == "captum" else task.method,
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
