"""Choose the tasks for the comparisons that pair points again."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from backend.agreement.records import ImageOfTask, JudgedAnnotation

T = TypeVar("T")
Task = tuple[str, int]  # project and task id


def tasks_of_several_annotators(
    annotations: Iterable[JudgedAnnotation],
) -> list[tuple[JudgedAnnotation, ...]]:
    """Group annotations by image, and keep the images of two or more known annotators.

    Returns:
        For each image of a task the last annotation of each annotator.
    """
    of_image: dict[ImageOfTask, dict[int, JudgedAnnotation]] = {}
    for each in annotations:
        if each.annotator is not None:
            of_image.setdefault(each.image, {})[each.annotator] = each
    return [tuple(found.values()) for found in of_image.values() if len(found) > 1]


def draw(items: Sequence[T], most: int, seed: int) -> list[T]:
    """Draw at most `most` of the items without replacement, in their order."""
    if len(items) <= most:
        return list(items)
    drawn = np.random.default_rng(seed).choice(len(items), most, replace=False)
    return [items[place] for place in np.sort(drawn).tolist()]


def draw_tasks(
    tasks: Sequence[Task], annotations: Iterable[JudgedAnnotation], most: int, seed: int
) -> list[Task]:
    """Draw annotated tasks: so many whose suggestions were withheld, and so many others.

    The withheld ones are drawn apart because only they compare model versions fairly.
    """
    shown: dict[Task, bool] = {}
    for each in annotations:
        shown[each.task] = shown.get(each.task, True) and each.group != "withheld"
    return [
        each
        for kind in (False, True)
        for each in draw([task for task in tasks if shown.get(task) is kind], most, seed)
    ]
