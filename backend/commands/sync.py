"""`python -m backend sync`: fetch annotations whose events were lost."""

import click
from tqdm import tqdm

from backend.commands.open_database import open_database
from backend.settings import Settings, load_settings
from backend.verdicts.records import SyncRun
from backend.verdicts.sync import sync as pull_projects


@click.command()
@click.option("--project", metavar="ID", help="Only this project: its number in Label Studio.")
def sync(project: str | None) -> int:
    """Fetch annotations whose events were lost.

    Harmless when repeated.
    """
    return sync_projects(load_settings(), project)


def sync_projects(settings: Settings, project: str | None) -> int:
    """Pull the annotations of one project or of all, and print one line for each.

    Returns:
        0 if there is a project and each could be pulled, else 1.
    """
    with open_database(settings) as database, tqdm(desc="Pulling", unit="task") as bar:

        def watch(uid: str, tasks: int, total: int | None) -> None:
            if bar.postfix != uid:  # another project than before
                bar.reset(total)
                bar.initial = bar.last_print_n = bar.n = 0
                bar.set_postfix_str(uid, refresh=False)
            bar.update(tasks - bar.n)

        pulled = pull_projects(settings, database, project, watch)
    if not pulled:
        which = "any project" if project is None else f"project {project}"
        print(
            f"Label Studio has not called /setup for {which} yet: connect the backend there first."
        )
    for each in pulled:
        print(_summary(each))
    return 1 if not pulled or any(each.problem for each in pulled) else 0


def _summary(pulled: SyncRun) -> str:
    if pulled.problem:
        return f"Project {pulled.project_uid}: not pulled: {pulled.problem}"
    return (
        f"Project {pulled.project_uid}: {pulled.annotations} annotations, {pulled.added} of them "
        f"new; {pulled.retracted} were deleted"
    )
