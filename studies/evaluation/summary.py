"""From values of single images to means, differences and the conclusions that they allow."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from studies.evaluation.rows import PRIMARY
from studies.evaluation.statistics import Interval, difference, interval_of

Values = Mapping[str, Mapping[str, Mapping[str, float]]]  # method → image → metric → value

CORNERS = ("Harris", "Shi-Tomasi", "SIFT", "Sobel")
EDGES = "occlusion + Sobel"
SKILL = "skill 0.05"


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean of a metric over the images that have it."""

    interval: Interval
    images: int


def means(values: Values, *, draws: int, seed: int) -> dict[str, dict[str, Mean]]:
    """Return method → metric → mean with its interval."""
    table: dict[str, dict[str, Mean]] = {}
    for method, of_images in values.items():
        table[method] = {}
        for metric in metrics_of(of_images):
            numbers = [
                row[metric] for row in of_images.values() if not math.isnan(row.get(metric, np.nan))
            ]
            interval = interval_of(np.array(numbers), draws=draws, seed=seed)
            table[method][metric] = Mean(interval, len(numbers))
    return table


def metrics_of(of_images: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the metrics that at least one image has a number for, in order."""
    seen: dict[str, None] = {}
    for row in of_images.values():
        seen.update(dict.fromkeys(name for name, value in row.items() if not math.isnan(value)))
    return list(seen)


def paired(
    values: Values, first: str, second: str, metric: str, *, draws: int, seed: int
) -> Mean | None:
    """Return the mean of first - second over the images of both; None if they share none."""
    both = [
        (values[first][name][metric], values[second][name][metric])
        for name in values[first]
        if name in values[second]
        and not math.isnan(values[first][name].get(metric, math.nan))
        and not math.isnan(values[second][name].get(metric, math.nan))
    ]
    if not both:
        return None
    ours, theirs = np.array(both).T
    return Mean(difference(ours, theirs, draws=draws, seed=seed), len(both))


def differences(
    values: Values, metrics: Sequence[str], *, draws: int, seed: int
) -> dict[str, dict[str, dict[str, Mean]]]:
    """Return method → other method → metric → mean difference, each pair once."""
    table: dict[str, dict[str, dict[str, Mean]]] = {}
    for first, second in itertools.combinations(values, 2):
        found = {
            metric: mean
            for metric in metrics
            if (mean := paired(values, first, second, metric, draws=draws, seed=seed))
        }
        table.setdefault(first, {})[second] = found
    return table


def sentences(values: Values, preset: str, *, draws: int, seed: int) -> list[str]:
    """Return conclusions on a preset; a claim holds only if all of its intervals lie above 0."""
    claims = [
        (
            "finds landmarks above chance",
            f"{SKILL} and {PRIMARY} above uniform and grid",
            [(SKILL, "uniform"), (SKILL, "grid"), (PRIMARY, "uniform"), (PRIMARY, "grid")],
        ),
        (
            "is helped by class evidence",
            f"{PRIMARY} above each corner detector, the random-weight network and {EDGES}",
            [(PRIMARY, other) for other in (*CORNERS, f"{preset}, random weights", EDGES)],
        ),
        (
            "is helped by having two scales",
            f"{PRIMARY} above each scale alone",
            [
                (PRIMARY, f"{preset}: coarse scale alone"),
                (PRIMARY, f"{preset}: fine scale alone"),
            ],
        ),
    ]
    return [
        _judged(values, preset, claim, meaning, pairs, draws=draws, seed=seed)
        for claim, meaning, pairs in claims
    ]


def _judged(
    values: Values,
    preset: str,
    claim: str,
    meaning: str,
    pairs: Sequence[tuple[str, str]],
    *,
    draws: int,
    seed: int,
) -> str:
    shown, holds, missing = [], True, []
    for metric, other in pairs:
        if other not in values:
            missing.append(other)
            continue
        mean = paired(values, preset, other, metric, draws=draws, seed=seed)
        if mean is None:
            missing.append(other)
            continue
        holds &= mean.interval.low > 0
        shown.append(f"{metric} − {other}: {signed(mean.interval)}, {mean.images} images")
    if missing:
        verdict = f"Not tested in full whether `{preset}` {claim} (missing: {', '.join(missing)})"
    elif holds:
        verdict = f"`{preset}` {claim}"
    else:
        verdict = f"Not shown that `{preset}` {claim}"
    return f"{verdict}: {meaning}. {'; '.join(shown)}."


def signed(interval: Interval) -> str:
    """Format a difference of shares in percentage points, with its interval."""
    return f"{100 * interval.mean:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def percent(interval: Interval) -> str:
    """Format a share in %, with its interval."""
    return f"{100 * interval.mean:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
