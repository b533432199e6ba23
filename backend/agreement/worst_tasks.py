"""The tasks on which suggestions and final points agree least."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.agreement.columns import CODES, VerdictColumns
from backend.agreement.parameters import AgreementParameters
from backend.agreement.records import ImageOfTask
from backend.verdicts.judging import ACCEPTED, VERDICTS


@dataclass(frozen=True, slots=True)
class WorstTask:
    """A task with little agreement; of one with several images, one of them.

    Attributes:
        project: uid of the project.
        task: id of the task.
        f1: F1 of suggestions against final points, over all its annotations.
        states: ids of the newest states of its annotations, in the order of recording.
        verdicts: number of points by verdict, in first submissions.
    """

    project: str
    task: int
    f1: float
    states: Sequence[int]
    verdicts: Mapping[str, int]


def worst_tasks(columns: VerdictColumns, parameters: AgreementParameters) -> list[WorstTask]:
    """List the tasks with the lowest F1 among those where something was changed, worst first."""
    first, columns = columns.first_submissions, columns.newest_states
    numbers: dict[ImageOfTask, int] = {}
    of_annotation = np.array(
        [numbers.setdefault(each.image, len(numbers)) for each in columns.annotations], np.int64
    )
    task, count = of_annotation[columns.annotation], len(numbers)
    hits = np.bincount(task, columns.suggested_hit, count)
    hits += np.bincount(task, columns.final_hit, count)
    points = np.bincount(task, columns.suggested, count)
    points += np.bincount(task, columns.final, count)
    points_changed = (columns.verdict != CODES[ACCEPTED]) & (columns.suggested | columns.final)
    changed = np.bincount(task, points_changed, count) > 0
    f1 = np.divide(hits, points, out=np.ones(count), where=points > 0)
    order = np.lexsort((np.arange(count), -points, f1))
    tasks = list(numbers)
    found = []
    for number in order[changed[order]][: parameters.most_worst_tasks].tolist():
        places = np.flatnonzero(of_annotation == number).tolist()
        project, task_id, _ = tasks[number]
        states = [each for place in places if (each := columns.annotations[place]).is_newest]
        verdicts = _count_verdicts(first, places)
        ids = sorted(each.id for each in states)
        found.append(WorstTask(project, task_id, float(f1[number]), ids, verdicts))
    return found


def _count_verdicts(columns: VerdictColumns, places: Sequence[int]) -> dict[str, int]:
    counted = columns.suggested | columns.final
    verdict = columns.verdict[counted & np.isin(columns.annotation, places)]
    counts = np.bincount(verdict, minlength=len(VERDICTS)).tolist()
    return dict(zip(VERDICTS, counts, strict=True))
