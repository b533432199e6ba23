"""Model versions compared with one another on the same tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from backend.agreement.clustered import Estimate, ratio
from backend.agreement.comparisons import difference_paired
from backend.agreement.parameters import AgreementParameters
from backend.agreement.points import Points, final_points, paired_f1
from backend.agreement.table import VerdictTable

Task = tuple[str, int]  # project and task id


@dataclass(frozen=True, slots=True)
class VersionPair:
    """Two model versions on the tasks that both predicted.

    Attributes:
        tasks: number of these.
        first_f1, second_f1: of each version's points against final points; mean over tasks.
        difference: second less first, paired by task.
    """

    first: str
    second: str
    tasks: int
    first_f1: Estimate
    second_f1: Estimate
    difference: Estimate


def model_versions(table: VerdictTable, parameters: AgreementParameters) -> list[VersionPair]:
    """Compare every pair of model versions on the tasks that both predicted.

    The points of each version are paired anew with the final points, also where the annotator never
    saw them. The version that the annotator saw has the advantage of being the starting point.
    """
    scores = _scores(table, parameters.near)
    return [
        _compare(first, second, scores, parameters)
        for first, second in combinations(sorted(scores), 2)
    ]


def _scores(table: VerdictTable, near: float) -> Mapping[str, Mapping[Task, float]]:
    """Compute the F1 of each model version on each task, averaged over annotators."""
    final = _final_points_of_tasks(table)
    scores: dict[str, dict[Task, float]] = {}
    for each in table.detections:
        radius = near * each.longer_side
        f1 = [paired_f1(each.points, points, radius) for points in final[each.task]]
        scores.setdefault(each.model_version, {})[each.task] = float(np.mean(f1))
    return scores


def _final_points_of_tasks(table: VerdictTable) -> Mapping[Task, Sequence[Points]]:
    """Return the final points of each annotation of the tasks that have detections."""
    tasks = {each.task for each in table.detections}
    found: dict[Task, list[Points]] = {}
    for each in table.columns.annotations:
        if each.task in tasks:
            points = final_points(table.verdicts.get(each.id, ()))
            found.setdefault(each.task, []).append(points)
    return found


def _compare(
    first: str,
    second: str,
    scores: Mapping[str, Mapping[Task, float]],
    parameters: AgreementParameters,
) -> VersionPair:
    both = sorted(scores[first].keys() & scores[second].keys())
    of_first = np.array([scores[first][task] for task in both])
    of_second = np.array([scores[second][task] for task in both])
    ones, limits = np.ones(len(both)), parameters.limits
    return VersionPair(
        first=first,
        second=second,
        tasks=len(both),
        first_f1=ratio(of_first, ones, scale="share", limits=limits),
        second_f1=ratio(of_second, ones, scale="share", limits=limits),
        difference=replace(
            difference_paired((of_second, ones), (of_first, ones), limits), n=len(both)
        ),
    )
