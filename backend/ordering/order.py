"""The order in which to annotate the tasks of a project that nobody has begun."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.labelstudio.schemas import Task
from backend.learning.records import Step
from backend.learning.step_storage import StepStorage
from backend.ordering.describing import Describer, Descriptor
from backend.suggestions.records import Wanted
from model.naming.acquisition import covering_first


class NothingLearnt(Exception):
    """An order needs corrected images to begin with; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Order:
    """Tasks in the order of annotation.

    Attributes:
        tasks: ids, first first.
        failures: task → why it has no place.
    """

    tasks: Sequence[int]
    failures: Mapping[int, str]


def learnt_step(steps: StepStorage, project_uid: str, base_version: str, number: int) -> Step:
    """Return what a project has learnt with its active model.

    Args:
        number: of the project in Label Studio.

    Raises:
        NothingLearnt: nothing yet.
    """
    step = steps.current(project_uid, base_version)
    if step is None or not step.name:
        raise NothingLearnt(
            f"expected what corrections of project {number} teach, but nothing is learnt yet: "
            f"correct three images first; `python -m backend learn --project {number} --status` "
            "says how far it is"
        )
    return step


def has_begun(task: Task) -> bool:
    """Return whether a task has an annotation, a skipped one, or a draft."""
    return bool(task.annotations or task.drafts)


def make_order(
    describer: Describer,
    steps: StepStorage,
    step: Step,
    begun: Sequence[Wanted],
    open_tasks: Sequence[Wanted],
    most: int,
) -> Order:
    """Order tasks so that each adds most to what the corrected images cover.

    Args:
        begun: tasks that count as known, as far as they are described.
        open_tasks: those to order.
        most: number of tasks to place.

    Raises:
        NothingLearnt: the corrected images were described by another network than the active one.
        StepChanged: one of them was changed meanwhile.
    """
    if step.key != describer.backbone_key:
        raise NothingLearnt(
            "expected the corrected images to be described by the network of the active model, but "
            "another model has become active: wait until workers have looked at them again"
        )
    members = steps.members(step)
    known = [describer.of_features(each.described.close) for each in members]
    in_use = {each.example.task_id for each in members}
    known += describer.stored([task for task in begun if task.task_id not in in_use]).values()
    pool, failures = describer.described(open_tasks)
    return Order(next_tasks(known, pool, most), failures)


def next_tasks(known: Sequence[Descriptor], pool: Mapping[int, Descriptor], most: int) -> list[int]:
    """Return the ids of the first `most` tasks of a pool, in order; all if there are fewer."""
    if not pool:
        return []
    ids = sorted(pool)
    places = covering_first(np.stack(known), np.stack([pool[task] for task in ids]), most)
    return [ids[place] for place in places]
