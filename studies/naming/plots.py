"""The study's plots."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from model.naming.worth import COST_MODELS
from studies.naming.accuracy import POOLED, RADII, Row, share
from studies.naming.calibration import bins, calibration_error, scored
from studies.naming.sequence import WORTHWHILE, Suggested, change_of


def plot_reliability(suggested: Sequence[Suggested], path: Path) -> None:
    """Plot the share that was right by score, ten bins of equal count."""
    found = scored(suggested)
    parts = bins(found.score, found.right)
    figure, axes = plt.subplots(figsize=(4, 4), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.plot([part.score for part in parts], [part.right for part in parts], "o-", markersize=4)
    error = calibration_error(found.score, found.right)
    axes.set(
        xlabel="score",
        ylabel="share within 0.05 and visible",
        title=f"ECE {error:.3f}",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    _save(figure, path)


def plot_accuracy(rows: Sequence[Row], path: Path) -> None:
    """Plot the share within each radius by the number of corrected images, the method alone."""
    figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
    first = rows[0].method
    for setting in dict.fromkeys(row.setting for row in rows):
        for radius in RADII:
            of = [row for row in rows if (row.method, row.setting) == (first, setting)]
            counts = sorted({row.corrected for row in of})
            shares = [share([row for row in of if row.corrected == k], radius) for k in counts]
            axes.errorbar(
                counts,
                [each.mean for each in shares],
                [each.error for each in shares],
                marker="o",
                markersize=4,
                linestyle="--" if setting == POOLED else "-",
                label=f"{setting}, within {radius:.2f}",
            )
    axes.set(xscale="log", xlabel="corrected images", ylabel="landmarks found by name, %")
    axes.set(ylim=(0, 100))
    axes.legend()
    _save(figure, path)


def plot_savings(suggested: Sequence[Suggested], path: Path) -> None:
    """Plot the change of the seconds by stretch of ten images, by cost model."""
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.axhline(0, color="0.7", linewidth=1)
    starts = range(0, max(each.position for each in suggested) + 1, 10)
    for name, costs in COST_MODELS.items():
        changes = []
        for start in starts:
            part = [each for each in suggested if start <= each.position < start + 10]
            changes.append(change_of(part, costs, WORTHWHILE).mean)
        axes.plot([start + 5 for start in starts], changes, marker="o", markersize=3, label=name)
    axes.set(xlabel="corrected images", ylabel="change of the time, %")
    axes.legend()
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=120)
    plt.close(figure)
