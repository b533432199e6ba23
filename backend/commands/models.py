"""`python -m backend models`: which models there are, and which of them answers."""

import argparse

from backend.database.connection import Database
from backend.database.prepare import prepare_database
from backend.settings import Settings
from backend.training.registry import Model, ModelRegistry, UnknownModel


class CannotChoose(RuntimeError):
    """The model that is asked for cannot be chosen; says what can."""


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """List the models, after having chosen another one if asked to.

    Returns:
        0.

    Raises:
        CannotChoose, DatabaseUnusable: there is no such model, or no database.
    """
    prepare_database(settings)
    database = Database(settings.database)
    try:
        registry = ModelRegistry(settings, database)
        if arguments.action == "use":
            registry.use(arguments.version)
        elif arguments.action == "back":
            registry.back()
        for model in registry.every():
            print(_line(model, registry.state(model)))
    except UnknownModel as error:
        raise CannotChoose(str(error)) from error
    finally:
        database.close()
    return 0


def _line(model: Model, state: str) -> str:
    trained = model.trained
    if trained is None:
        about = "of the settings"
    else:
        before = trained.previous_accuracy
        about = (
            f"{trained.accuracy:.1%} of {trained.validation_images} validation images right"
            + (f" ({trained.previous_version}: {before:.1%})" if before is not None else "")
            + f"; project {trained.project_uid}, {trained.control}: {', '.join(trained.classes)}; "
            f"{trained.images} images; {trained.created_at:%Y-%m-%d %H:%M} UTC"
        )
    return f"{model.version}  {state:9}  {about}"
