"""Model versions compared with one another on the same tasks.

An annotator who started from the suggestions of one version leaves points near them, so only
annotations of withheld tasks, whose annotators saw neither, say which version is better.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from backend.agreement.clustered import Estimate, ratio
from backend.agreement.comparisons import difference_paired
from backend.agreement.parameters import AgreementParameters
from backend.agreement.points import Points, detected_points, paired_f1
from backend.agreement.records import ImageOfTask
from backend.agreement.table import VerdictTable

Seen = str | None  # the model version whose suggestions the annotator saw; None where withheld


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """Two model versions on tasks that both predicted.

    Attributes:
        tasks: number of these tasks.
        first_f1, second_f1: F1 of each version's points against final points; mean over tasks.
        difference: second minus first, paired by task.
    """

    tasks: int
    first_f1: Estimate
    second_f1: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class VersionPair:
    """Two model versions, by what the annotators of the tasks saw.

    Attributes:
        neither: the comparison that favours no version: the suggestions were withheld.
        saw_first, saw_second: comparisons that favour the version that was the starting point.
    """

    first: str
    second: str
    neither: VersionComparison
    saw_first: VersionComparison
    saw_second: VersionComparison


def model_versions(table: VerdictTable, parameters: AgreementParameters) -> list[VersionPair]:
    """Compare every pair of model versions on the tasks that both predicted.

    The points of each version are paired again with the final points.
    """
    scores = _scores(table, parameters.near)
    versions = sorted({version for version, _ in scores})

    def compare(first: str, second: str, seen: Seen) -> VersionComparison:
        of_first, of_second = (scores.get((version, seen), {}) for version in (first, second))
        return _compare(of_first, of_second, parameters)

    return [
        VersionPair(
            first=first,
            second=second,
            neither=compare(first, second, None),
            saw_first=compare(first, second, first),
            saw_second=compare(first, second, second),
        )
        for first, second in combinations(versions, 2)
    ]


def _scores(
    table: VerdictTable, near: float
) -> Mapping[tuple[str, Seen], Mapping[ImageOfTask, float]]:
    """Compute the F1 of each version on each task, averaged over annotators who saw the same."""
    final: dict[ImageOfTask, dict[Seen, list[Points]]] = {}
    for task, seen, points in _final_points(table):
        final.setdefault(task, {}).setdefault(seen, []).append(points)
    scores: dict[tuple[str, Seen], dict[ImageOfTask, float]] = {}
    for each in table.detections:
        detected = detected_points(each.points)
        for seen, annotated in final.get(each.image, {}).items():
            f1 = float(np.mean([paired_f1(detected, points, near) for points in annotated]))
            scores.setdefault((each.model_version, seen), {})[each.image] = f1
    return scores


def _final_points(table: VerdictTable) -> Iterator[tuple[ImageOfTask, Seen, Points]]:
    """Yield the final points of each annotation of the tasks that have detections."""
    images = {each.image for each in table.detections}
    for each in table.columns.annotations:
        if each.image in images and each.is_newest and each.group != "from scratch":
            seen = each.model_version if each.group == "shown" else None
            yield each.image, seen, table.points.final(each.id)


def _compare(
    first: Mapping[ImageOfTask, float],
    second: Mapping[ImageOfTask, float],
    parameters: AgreementParameters,
) -> VersionComparison:
    both = sorted(first.keys() & second.keys())
    of_first = np.array([first[task] for task in both], np.float64)
    of_second = np.array([second[task] for task in both], np.float64)
    ones, limits = np.ones(len(both)), parameters.limits
    difference = difference_paired((of_second, ones), (of_first, ones), limits)
    return VersionComparison(
        tasks=len(both),
        first_f1=ratio(of_first, ones, scale="share", limits=limits),
        second_f1=ratio(of_second, ones, scale="share", limits=limits),
        difference=replace(difference, n=len(both)),
    )
