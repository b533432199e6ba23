"""`python -m backend models`: list the models and choose the active ones."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from backend.commands.command_line import refusing
from backend.commands.open_database import open_database
from backend.labelstudio.project_settings import DEPLOYMENT
from backend.labelstudio.projects import ProjectStorage, UnknownProject, project_id_of
from backend.settings import load_settings
from backend.training.registry import Model, ModelRegistry, UnknownModel
from model.learning.class_sizes import listed

project_option = click.option(
    "--project",
    type=int,
    metavar="ID",
    help="Its number in Label Studio. Default: the deployment, whose active model all projects use "
    "that have none of their own.",
)


@click.group(invoke_without_command=True)
@project_option
@click.pass_context
def models(context: click.Context, project: int | None) -> int:
    """List all models, or choose the active one, of a project or of the deployment.

    A model is "active"; "in use" if only projects have it as their own; "retired" if it was active
    before; or a "candidate" if it never was. One whose weights were deleted cannot be used.
    """
    context.obj = project
    if context.invoked_subcommand is None:
        with opened(project) as (registry, uid):
            print_models(registry, uid)
    return 0


@models.command()
@click.argument("version")
@project_option
@click.pass_obj
def use(outer: int | None, version: str, project: int | None) -> int:
    """Make the model with this VERSION active.

    With --project, VERSION may be "deployment": the project then uses the deployment's.
    """
    with opened(outer if project is None else project) as (registry, uid):
        if uid is not None and version == DEPLOYMENT:
            registry.follow_deployment(uid)
        else:
            registry.activate(version, uid)
        print_models(registry, uid)
    return 0


@models.command()
@project_option
@click.pass_obj
def back(outer: int | None, project: int | None) -> int:
    """Make the previously active model active again, or the last one that still has weights."""
    with opened(outer if project is None else project) as (registry, uid):
        registry.activate_previous(uid)
        print_models(registry, uid)
    return 0


@contextmanager
def opened(project_id: int | None) -> Iterator[tuple[ModelRegistry, str | None]]:
    """Inside the block, use the registry of models, and the uid of a project if one is meant."""
    settings = load_settings()
    with refusing(UnknownModel, UnknownProject), open_database(settings) as database:
        uid = None if project_id is None else ProjectStorage(database).find_uid(project_id)
        yield ModelRegistry(settings, database), uid


def print_models(registry: ModelRegistry, project_uid: str | None) -> None:
    """Print a line for each model, and then which model each project uses."""
    for model in registry.all():
        gone = "" if model.has_weights else f"cannot be used, {model.weights} does not exist; "
        state = registry.state(model, project_uid)
        print(f"{model.version}  {state:9}  {gone}{_origin(model)}")
    if project_uid is None:
        for uid, model in registry.own_models().items():
            print(f"project {_number(uid)} uses {_use(registry, uid, model)}")
        return
    own = registry.own(project_uid)
    used = _use(registry, project_uid, own) if own else f"{registry.active().version}, as all do"
    print(f"project {_number(project_uid)} uses {used}")


def _use(registry: ModelRegistry, uid: str, model: Model) -> str:
    named = registry.named_by(uid)
    return f"{model.version}, {'named by its extra params in Label Studio' if named else 'its own'}"


def _number(uid: str) -> str:
    number = project_id_of(uid)
    return uid if number is None else str(number)


def _origin(model: Model) -> str:
    trained = model.trained
    if trained is None:
        return "from the settings"
    before = trained.previous_accuracy
    compared = f" ({trained.previous_version}: {before:.1%})" if before is not None else ""
    return (
        f"{trained.accuracy:.1%} of {trained.validation_images} validation images right{compared}; "
        f"project {trained.project_uid}, {trained.control}: {listed(trained.classes)}; "
        f"{trained.images} images; {trained.created_at:%Y-%m-%d %H:%M} UTC"
    )
