"""`python -m backend purge`: delete data for people who have to."""

from collections.abc import Mapping
from datetime import timedelta

import click

from backend.commands.command_line import refusing
from backend.commands.open_database import open_database
from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage, UnknownProject
from backend.labelstudio.token_storage import forget_tokens
from backend.settings import Settings, load_settings
from backend.upkeep.purge_storage import ModelInUse, PurgeStorage
from model.weights_files import sidecar


@click.command()
@click.option(
    "--project",
    metavar="ID",
    help="A project: its number in Label Studio, or its name, such as cvat:HOST/task/7.",
)
@click.option("--annotator", type=int, metavar="ID", help="A person: the number in Label Studio.")
@click.option("--older-than", type=click.IntRange(min=1), metavar="DAYS", help="What is older.")
@click.option("--yes", is_flag=True, help="Delete; without it, only what would be is counted.")
def purge(project: str | None, annotator: int | None, older_than: int | None, yes: bool) -> int:
    """Delete a project, a person's work or what is old, for good."""
    chosen = [each for each in (project, annotator, older_than) if each is not None]
    if len(chosen) != 1:
        raise click.UsageError("expected one of --project, --annotator and --older-than")
    settings = load_settings()
    with refusing(UnknownProject, ModelInUse), open_database(settings) as database:
        storage = PurgeStorage(database, limit=settings.learn_examples, dry_run=not yes)
        if project is not None:
            uid = ProjectStorage(database).resolve(project)
            counts = _purge_project(settings, storage, uid, yes=yes)
        elif annotator is not None:
            counts = storage.purge_annotator(annotator)
        else:
            counts = storage.purge_older(now() - timedelta(days=older_than or 0))
        if yes and settings.has_label_studio_token:
            forget_tokens(database)
        _finish(database, counts, yes=yes)
    if yes and older_than is None:
        print(
            "Label Studio or CVAT has it still, unless it was deleted there: "
            "the next pull brings it."
        )
    return 0


def _purge_project(
    settings: Settings, storage: PurgeStorage, uid: str, *, yes: bool
) -> dict[str, int]:
    names = storage.weights_of(uid)
    counts = storage.purge_project(uid)
    if yes:
        for name in names:
            weights = settings.models_folder / name
            for path in (weights, sidecar(weights)):
                path.unlink(missing_ok=True)
    return counts


def _finish(database: Database, counts: Mapping[str, int], *, yes: bool) -> None:
    for name, count in counts.items():
        print(f"{count:>10} {name}")
    if not yes:
        print("Nothing is deleted yet: repeat it with --yes.")
        return
    database.shrink()
    print("Deleted, also from the files of the database. Backups still hold it.")
