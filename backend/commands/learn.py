"""`python -m backend learn`: build anew what a project's corrections teach, or say how far it is.

The command passes the annotations on and watches: workers extract the features, and go on without
it. It may be run again at any time.
"""

import time

import click
from tqdm import tqdm

from backend.commands.command_line import refusing
from backend.commands.open_database import open_database
from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage, UnknownProject
from backend.learning.records import LearningStatus
from backend.learning.storage import ExampleStorage
from backend.settings import Settings, load_settings
from backend.training.registry import ModelRegistry
from backend.verdicts.lesson_storage import LessonStorage
from backend.verdicts.sync import sync

POLL_SECONDS = 0.5


@click.command()
@click.option(
    "--project", type=int, required=True, metavar="ID", help="Its number in Label Studio."
)
@click.option("--status", is_flag=True, help="Only say how far it is.")
def learn(project: int, status: bool) -> int:
    """Learn a project's corrections anew: pull its annotations, and extract all features again."""
    with refusing(UnknownProject, OSError):
        return learn_project(load_settings(), project, only_status=status)


def learn_project(settings: Settings, project_id: int, *, only_status: bool = False) -> int:
    """Learn a project anew and wait, unless only its status is wanted; print the status.

    Returns:
        0 if every corrected image is learnt, else 1.

    Raises:
        UnknownProject, DatabaseUnusable, OSError: the project, the database or the weights file of
            the settings cannot be used.
    """
    with open_database(settings) as database:
        uid = ProjectStorage(database).find_uid(project_id)
        examples = ExampleStorage(database, limit=settings.learn_examples)
        base = ModelRegistry(settings, database).active(uid).version
        if not only_status:
            _begin_anew(settings, database, uid)
            _wait(examples, uid, base)
        found = examples.status(uid, base)
    print(_described(project_id, found))
    return 1 if found.waiting or found.failed else 0


def _begin_anew(settings: Settings, database: Database, uid: str) -> None:
    for run in sync(settings, database, uid):
        if run.problem:
            print(f"Its annotations cannot be pulled, so those known here are used: {run.problem}")
    lessons = LessonStorage(database, limit=settings.learn_examples)
    lessons.note_project(uid)
    lessons.pass_on()
    ExampleStorage(database, limit=settings.learn_examples).extract_again(uid)


def _wait(examples: ExampleStorage, uid: str, base_version: str) -> None:
    """Wait until workers have learnt or given up every image."""
    waiting = examples.status(uid, base_version).waiting
    with tqdm(total=waiting, desc="Learning", unit="image") as bar:
        while waiting:
            time.sleep(POLL_SECONDS)
            left = examples.status(uid, base_version).waiting
            bar.update(max(0, waiting - left))
            waiting = left


def _described(project_id: int, found: LearningStatus) -> str:
    lines = [
        f"Project {project_id}: {found.learnt} corrected images learnt, {found.waiting} waiting, "
        f"{found.failed} failed; suggestions know {found.in_use} of them"
    ]
    if found.costs:
        seconds = ", ".join(f"{name} {each:g} s" for name, each in sorted(found.costs.items()))
        lines.append(f"  shown by this team's own costs: {seconds}")
    if found.tolerance is not None:
        lines.append(f"  scored by this project's own tolerance: {found.tolerance:g}")
    if found.reserve:
        lines.append(f"  {found.reserve} set aside: others tell more, and LEARN_EXAMPLES are kept")
    lines += [f"  {count} × {reason}" for reason, count in (found.failures or {}).items()]
    return "\n".join(lines)
