"""Compute which tasks to annotate next, and write their ranks; see `backend.commands.order`.

It may be run again at any time: descriptions of images are kept, ranks that are right already are
not written again, and tasks that somebody has begun are left alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from backend.commands.open_database import open_database
from backend.database.connection import Database
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.label_config import LabelConfigError, keypoint_control
from backend.labelstudio.projects import NotDeliverable, ProjectStorage, label_studio_of
from backend.labelstudio.schemas import Project, Task
from backend.learning.step_storage import StepChanged, StepStorage
from backend.ordering.describing import Describer
from backend.ordering.order import NothingLearnt, Order, has_begun, learnt_step, make_order
from backend.ordering.ranks import (
    FieldTaken,
    Outcome,
    RankWriter,
    check_field,
    rank_text,
)
from backend.settings import Settings
from backend.suggestions.detector import ModelUnusable
from backend.suggestions.wanted import wanted_of
from backend.training.registry import ModelRegistry

# What prevents an order; each says what to do.
REFUSALS = (
    LabelStudioError,
    LabelConfigError,
    NotDeliverable,
    NothingLearnt,
    FieldTaken,
    ModelUnusable,
    StepChanged,
    OSError,
)
SHOWN = 20  # tasks that --dry-run prints
OUTCOMES: Mapping[Outcome, str] = {
    "written": "written",
    "same": "right already",
    "begun": "left as they are, because someone has begun",
    "gone": "deleted meanwhile",
}


def order_project(
    settings: Settings, project_id: int, *, field: str, limit: int, dry_run: bool
) -> int:
    """Compute the order, write it unless it is a dry run, and print a summary.

    Args:
        limit: number of tasks that get a rank.

    Returns:
        0 if every task could be described, else 1.

    Raises:
        NothingLearnt, FieldTaken, LabelStudioNotSet, LabelStudioError, LabelConfigError,
            ModelUnusable, DatabaseUnusable: the order cannot be computed or written; the message
            says why.
    """
    client = label_studio_of(settings)
    with open_database(settings) as database:
        project = client.project(project_id)
        tasks = _listed(client, project)
        check_field(field, project.label_config, tasks)
        found = _computed(settings, database, project, tasks, limit)
    print(f"Project {project_id}, {project.title}: {_described(found)}")
    if dry_run:
        _print_first(found)
    else:
        outcomes = _write(RankWriter(client, project_id, field), found, tasks, field)
        lines = [f"  {outcomes[each]} × {text}" for each, text in OUTCOMES.items()]
        print(f"Field {field!r}:", *[line for line in lines if "  0 ×" not in line], sep="\n")
    return 1 if found.failures else 0


def _listed(client: LabelStudio, project: Project) -> list[Task]:
    bar = tqdm(client.tasks(project.id), "Looking for tasks", project.task_number, unit="task")
    return list(bar)


def _computed(
    settings: Settings, database: Database, project: Project, tasks: Sequence[Task], limit: int
) -> Order:
    control, projects = keypoint_control(project.label_config), ProjectStorage(database)
    projects.save_label_config(project.uid, project.label_config)
    stored = projects.project(project.uid)
    assert stored is not None, "it was just saved"
    steps = StepStorage(database, limit=settings.learn_examples)
    base = ModelRegistry(settings, database).active(project.uid).version
    step = learnt_step(steps, project.uid, base, project.id)
    describer = Describer(settings, database, stored, control)
    describer.forget_others([task.id for task in tasks])
    begun = [one for task in tasks if has_begun(task) and (one := wanted_of(task, control))]
    left = [one for task in tasks if not has_begun(task) and (one := wanted_of(task, control))]
    return make_order(describer, steps, step, begun, left, limit)


def _write(writer: RankWriter, found: Order, tasks: Sequence[Task], field: str) -> Counter[Outcome]:
    """Write the ranks, and remove those of an earlier order from all other open tasks."""
    ranks: dict[int, str | None] = {
        task.id: None for task in tasks if field in task.data and not has_begun(task)
    }
    ranks |= {task: rank_text(place) for place, task in enumerate(found.tasks, 1)}
    present = {task.id: task.data.get(field) for task in tasks}
    outcomes: Counter[Outcome] = Counter()
    for task, rank in tqdm(ranks.items(), desc="Writing ranks", unit="task"):
        outcomes["same" if present[task] == rank else writer.write(task, rank)] += 1
    return outcomes


def _described(found: Order) -> str:
    """Return the summary, with each reason and how often it occurs."""
    lines = [f"{len(found.tasks)} tasks placed, {len(found.failures)} cannot be placed"]
    reasons = Counter(found.failures.values())
    lines += [f"  {count} × {reason}" for reason, count in reasons.most_common()]
    return "\n".join(lines)


def _print_first(found: Order) -> None:
    for place, task in enumerate(found.tasks[:SHOWN], 1):
        print(f"  {place}. task {task}")
    if len(found.tasks) > SHOWN:
        print(f"  and {len(found.tasks) - SHOWN} more")
