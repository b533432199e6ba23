"""`python -m backend models`: list the models and choose the active one."""

import click

from backend.commands.command_line import refusing
from backend.commands.open_database import open_database
from backend.settings import Settings, load_settings
from backend.training.registry import Model, ModelRegistry, UnknownModel


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> int:
    """List all models, or choose the active one.

    A model is "active", "retired" if it was active before, or a "candidate" if it never was.
    """
    if context.invoked_subcommand is None:
        list_models(load_settings())
    return 0


@models.command()
@click.argument("version")
def use(version: str) -> int:
    """Make the model with this VERSION active."""
    with refusing(UnknownModel):
        activate_model(load_settings(), version)
    return 0


@models.command()
def back() -> int:
    """Make the previously active model active again."""
    with refusing(UnknownModel):
        activate_previous_model(load_settings())
    return 0


def list_models(settings: Settings) -> None:
    """Print one line for each model."""
    with open_database(settings) as database:
        _print(ModelRegistry(settings, database))


def activate_model(settings: Settings, version: str) -> None:
    """Make a model active, and print them all.

    Raises:
        UnknownModel: no model has that version.
    """
    with open_database(settings) as database:
        registry = ModelRegistry(settings, database)
        registry.activate(version)
        _print(registry)


def activate_previous_model(settings: Settings) -> None:
    """Make the previously active model active again, and print all models.

    Raises:
        UnknownModel: none was active before.
    """
    with open_database(settings) as database:
        registry = ModelRegistry(settings, database)
        registry.activate_previous()
        _print(registry)


def _print(registry: ModelRegistry) -> None:
    for model in registry.all():
        print(f"{model.version}  {registry.state(model):9}  {_origin(model)}")


def _origin(model: Model) -> str:
    trained = model.trained
    if trained is None:
        return "from the settings"
    before = trained.previous_accuracy
    compared = f" ({trained.previous_version}: {before:.1%})" if before is not None else ""
    return (
        f"{trained.accuracy:.1%} of {trained.validation_images} validation images right{compared}; "
        f"project {trained.project_uid}, {trained.control}: {', '.join(trained.classes)}; "
        f"{trained.images} images; {trained.created_at:%Y-%m-%d %H:%M} UTC"
    )
