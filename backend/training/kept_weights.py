"""Which trained models keep their weights files: those in use, and the last ones of each project.

Without a rule, every training would take disk for good. What is known about a model stays in the
database; only its files are deleted.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from backend.database.connection import Database
from backend.settings import Settings
from backend.training.limits_storage import activated_models
from backend.training.records import TrainedModel
from backend.training.registry import ModelRegistry
from backend.training.storage import ModelStorage

logger = logging.getLogger(__name__)


def delete_old_weights(settings: Settings, database: Database, project_uid: str) -> list[str]:
    """Delete the weights of a project's models that are neither in use nor among the last ones.

    In use are the active models of the deployment and of every project, with the KEEP_MODELS ones
    before them that `models back` returns to, and models that the settings of a project name.

    Returns:
        The names of the weights files that were deleted.
    """
    if settings.keep_models == 0:
        return []
    trained = ModelStorage(database).models()
    in_use = _in_use(settings, database)
    own = [each for each in trained if each.project_uid == project_uid]
    old = [each.file for each in own[settings.keep_models :] if each.id not in in_use]
    return [name for name in old if _delete(settings.models_folder / name)]


def _in_use(settings: Settings, database: Database) -> set[int]:
    """Return the ids of the models in use."""
    stacks: dict[str | None, list[int]] = defaultdict(list)
    for uid, model_id in activated_models(database):
        stacks[uid].append(model_id)
    # The active one, and those that `models back` returns to.
    found = {each for stack in stacks.values() for each in stack[: settings.keep_models + 1]}
    named = ModelRegistry(settings, database).own_models().values()
    return found | set(_ids(model.trained for model in named))


def _ids(models: Iterable[TrainedModel | None]) -> Iterable[int]:
    return (each.id for each in models if each is not None)


def _delete(weights: Path) -> bool:
    """Delete a weights file and the JSON beside it; return whether it was there."""
    if not weights.is_file():
        return False
    try:
        weights.unlink()
        weights.with_suffix(".json").unlink(missing_ok=True)
    except OSError as error:
        logger.warning("The old weights %s cannot be deleted: %s", weights, error)
        return False
    logger.info("The old weights %s were deleted; KEEP_MODELS says how many are kept", weights)
    return True
