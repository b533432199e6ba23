"""Results of a run as JSON, CSV, Markdown and plots."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from studies.evaluation import summary
from studies.evaluation.rows import BUDGETS, PRIMARY, RADII
from studies.evaluation.runner import BOX, FRAME, Options, Outcome
from studies.evaluation.statistics import Interval
from studies.evaluation.summary import Mean, Values

COLUMNS = (
    "P@20 0.05", "P@20 0.10", "P@20 0.03", "P@10 0.05", "P@40 0.05", "P@40% 0.05",
    "coverage 0.05", "F1 0.05", "skill 0.05", "AP 0.05", "on object", "repeatability",
)  # fmt: skip
SOURCE_COLUMNS = ("P@20 0.20", "chance 0.20")
TITLES = {BOX: "Within the annotated box", FRAME: "Full frames, no box given"}


def facts(outcome: Outcome, options: Options, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything as plain data: each metric with its interval, each paired difference.

    Args:
        about: entries to put first.
    """
    chosen = {"draws": options.draws, "seed": options.seed}
    regions = {}
    for where, values in outcome.values.items():
        metrics = list(dict.fromkeys(m for of in values.values() for m in summary.metrics_of(of)))
        regions[where] = {
            "methods": {
                method: {metric: _plain(mean) for metric, mean in row.items()}
                for method, row in summary.means(values, **chosen).items()
            },
            "differences": {
                first: {
                    second: {metric: _plain(mean) for metric, mean in row.items()}
                    for second, row in others.items()
                }
                for first, others in summary.differences(values, metrics, **chosen).items()
            },
        }
    return {
        **about,
        "bootstrap": {**chosen, "level": 0.95},
        "primary": PRIMARY,
        "accuracy": outcome.accuracy,
        "images": len(outcome.classes),
        "left_out": outcome.left_out,
        "regions": regions,
        "salient": {name: [asdict(r) for r in rows] for name, rows in outcome.salient.items()},
        "names": {
            preset: {name: asdict(agreement) for name, agreement in found.items()}
            for preset, found in outcome.naming.items()
        },
        "fills": {
            preset: {name: asdict(interval) for name, interval in found.items()}
            for preset, found in outcome.fills.items()
        },
    }


def _plain(mean: Mean) -> dict[str, float | int]:
    return {**asdict(mean.interval), "images": mean.images}


def write_json(found: Mapping[str, Any], path: Path) -> None:
    """Write plain data; numbers that are not finite, such as an infinite lift, become null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_finite(found), indent=1, ensure_ascii=False) + "\n", "utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_csv(outcome: Outcome, path: Path) -> None:
    """Write a row for every image and method."""
    metrics = list(
        dict.fromkeys(
            metric
            for values in outcome.values.values()
            for of_images in values.values()
            for metric in summary.metrics_of(of_images)
        )
    )
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["region", "method", "image", "class", *metrics])
        for where, values in outcome.values.items():
            for method, of_images in values.items():
                for name, row in of_images.items():
                    numbers = [f"{row[m]:.6g}" if m in row else "" for m in metrics]
                    writer.writerow([where, method, name, outcome.classes[name], *numbers])


def markdown(outcome: Outcome, options: Options, presets: Sequence[str]) -> str:
    """Return a page with tables and conclusions."""
    chosen = {"draws": options.draws, "seed": options.seed}
    lines = [
        f"{len(outcome.classes)} images; class right on "
        f"{outcome.accuracy:.0%} of the whole images. In % with 95 % bootstrap intervals "
        f"({options.draws} draws, seed {options.seed}); primary figure: {PRIMARY}.",
    ]
    lines += [f"- left out: {name}: {reason}" for name, reason in outcome.left_out.items()]
    for where, values in outcome.values.items():
        lines += ["", f"## {TITLES[where]}", "", *table(values, **chosen), ""]
        for preset in presets:
            lines += [f"- {sentence}" for sentence in summary.sentences(values, preset, **chosen)]
    for preset, rows in outcome.salient.items():
        lines += ["", f"## Salient landmarks of `{preset}`", ""]
        lines += ["| class | landmark | hit / visible | lift | nearest |", "|---|---|---|---|---|"]
        lines += [
            f"| {r.class_name} | {r.landmark} | {r.hit} / {r.visible} | "
            f"{r.lift.mean:.2f} [{r.lift.low:.2f}, {r.lift.high:.2f}] | {r.nearest} |"
            for r in rows
        ]
    for preset, found in outcome.naming.items():
        lines += ["", f"## Names of `{preset}`", ""]
        lines += ["| clusters of | AMI | NMI | ARI |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {a.ami:.3f} | {a.nmi:.3f} | {a.ari:.3f} |" for name, a in found.items()
        ]
    for preset, spread in outcome.fills.items():
        lines += ["", f"## `{preset}` under other random fills", ""]
        lines += [
            f"- correlation of two coarse maps: {_plainly(spread['correlation'])}",
            "- points found again within 0.05, in %: coarse scale alone "
            f"{summary.percent(spread['coarse points'])}, both {summary.percent(spread['points'])}",
        ]
    return "\n".join(lines) + "\n"


def _plainly(interval: Interval) -> str:
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def table(values: Values, *, draws: int, seed: int) -> list[str]:
    """Return the lines of a Markdown table, best primary figure first."""
    rows = summary.means(values, draws=draws, seed=seed)
    columns = [c for c in (*COLUMNS, *SOURCE_COLUMNS) if any(c in row for row in rows.values())]
    ranked = sorted(rows.items(), key=lambda item: -item[1][PRIMARY].interval.mean)
    lines = [
        f"| method | images | {' | '.join(columns)} |",
        f"|---|---|{'---|' * len(columns)}",
    ]
    for method, row in ranked:
        cells = [summary.percent(row[c].interval) if c in row else "–" for c in columns]
        lines.append(f"| {method} | {row[PRIMARY].images} | {' | '.join(cells)} |")
    return lines


def plot(values: Values, where: str, folder: Path, *, draws: int, seed: int) -> None:
    """Plot the primary figure of every method, and precision over radius and over budget."""
    rows = summary.means(values, draws=draws, seed=seed)
    ranked = sorted(rows, key=lambda method: rows[method][PRIMARY].interval.mean)
    figure, axes = plt.subplots(figsize=(8, 0.3 * len(ranked) + 1.2), layout="constrained")
    for place, method in enumerate(ranked):
        interval = rows[method][PRIMARY].interval
        axes.plot([interval.low, interval.high], [place, place], color="tab:gray")
        axes.plot(interval.mean, place, "o", color="tab:red")
    axes.set_yticks(range(len(ranked)), ranked)
    axes.set_xlabel(f"{PRIMARY}, 95 % interval")
    axes.set_title(TITLES[where])
    figure.savefig(folder / f"{where}-primary.png", dpi=120)
    plt.close(figure)

    figure, (over_radius, over_budget) = plt.subplots(
        1, 2, figsize=(11, 5), layout="constrained", sharey=False
    )
    for method in reversed(ranked[-8:] + [m for m in ("uniform",) if m not in ranked[-8:]]):
        radius_means = [rows[method][f"P@20 {radius:.2f}"].interval.mean for radius in RADII]
        budget_means = [rows[method][f"P@{budget} 0.05"].interval.mean for budget in BUDGETS]
        over_radius.plot(RADII, radius_means, marker="o", label=method)
        over_budget.plot(BUDGETS, budget_means, marker="o", label=method)
    over_radius.set(xlabel="radius, share of the box's longer side", ylabel="precision, N = 20")
    over_budget.set(xlabel="number of points", ylabel="precision, radius 0.05")
    over_radius.legend(fontsize="small")
    figure.savefig(folder / f"{where}-precision.png", dpi=120)
    plt.close(figure)
