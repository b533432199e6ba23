"""How many landmarks are found by name, after so many corrected images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.naming.learner import NamedPoint, NamingModel, fit
from studies.naming.cases import Case

RADII = (0.05, 0.10)
PER_CLASS, POOLED = "per class", "pooled"

# Corrected cases → what suggests points for a case.
Method = Callable[[Sequence[Case]], Callable[[Case], Sequence[NamedPoint]]]


@dataclass(frozen=True, slots=True)
class Row:
    """One test image after one draw of corrected images.

    Attributes:
        within: radius → number of visible landmarks with a suggestion of their name that near.
        visible: number of visible landmarks.
        error: sum of the distances of suggestions with a visible landmark, in box lengths.
        suggested: number of these.
    """

    method: str
    setting: str
    corrected: int
    draw: int
    class_name: str
    image: str
    within: Mapping[float, int]
    visible: int
    error: float
    suggested: int


def distances(case: Case, points: Sequence[NamedPoint]) -> NDArray[np.float64]:
    """Return the distance of each suggestion from its landmark, in box lengths; NaN if hidden."""
    nowhere = (np.nan, np.nan)
    truth = np.array([case.example.points.get(point.label, nowhere) for point in points])
    places = np.array([(point.x, point.y) for point in points])
    return np.asarray(np.linalg.norm((truth - places).reshape(-1, 2), axis=1) / case.length)


def learn(cases: Sequence[Case], *, rehearsed: int | None = None) -> NamingModel:
    """Fit a model to cases."""
    return fit([case.example for case in cases], rehearsed=rehearsed)


def draws(
    train: Sequence[Case], test: Sequence[Case], setting: str, corrected: int, repeats: int
) -> Iterator[tuple[int, list[Case], list[Case]]]:
    """Yield a draw's number, the corrected cases and the cases to suggest.

    Args:
        setting: `PER_CLASS`: each class by itself; `POOLED`: all classes in one.
    """
    names = sorted({case.example.group for case in train})
    groups = [[name] for name in names] if setting == PER_CLASS else [names]
    for draw in range(repeats):
        for number, group in enumerate(groups):
            pool = [case for case in train if case.example.group in group]
            if len(pool) >= corrected:
                order = np.random.default_rng([draw, corrected, number]).permutation(len(pool))
                chosen = [pool[index] for index in order[:corrected]]
                yield draw, chosen, [case for case in test if case.example.group in group]


def measure(
    train: Sequence[Case],
    test: Sequence[Case],
    methods: Mapping[str, Method],
    setting: str,
    corrected: int,
    repeats: int,
) -> Iterator[Row]:
    """Measure each method on the test images after each draw."""
    for draw, chosen, asked in draws(train, test, setting, corrected, repeats):
        for name, method in methods.items():
            suggest = method(chosen)
            for case in asked:
                yield _row(case, suggest(case), name, setting, corrected, draw)


def _row(
    case: Case, points: Sequence[NamedPoint], method: str, setting: str, corrected: int, draw: int
) -> Row:
    away = distances(case, points)
    return Row(
        method,
        setting,
        corrected,
        draw,
        case.example.group,
        case.example.name,
        {radius: int((away <= radius).sum()) for radius in RADII},
        len(case.example.points),
        float(np.nansum(away)),
        int(np.isfinite(away).sum()),
    )


@dataclass(frozen=True, slots=True)
class Share:
    """Mean over draws of the share of visible landmarks, and its standard error, both in %."""

    mean: float
    error: float


def share(rows: Sequence[Row], radius: float) -> Share:
    """Return the share of visible landmarks within a radius."""
    by_draw = [
        100
        * sum(row.within[radius] for row in rows if row.draw == draw)
        / sum(row.visible for row in rows if row.draw == draw)
        for draw in sorted({row.draw for row in rows})
    ]
    spread = np.std(by_draw, ddof=1) / np.sqrt(len(by_draw)) if len(by_draw) > 1 else np.nan
    return Share(float(np.mean(by_draw)), float(spread))


def mean_error(rows: Sequence[Row]) -> float:
    """Return the mean distance of suggestions from visible landmarks, in box lengths."""
    count = sum(row.suggested for row in rows)
    return sum(row.error for row in rows) / count if count else float("nan")
