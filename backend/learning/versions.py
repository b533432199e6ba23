"""The version of a project's suggestions: that of its model, and of what was learnt since."""

from backend.database.connection import Database
from backend.learning.step_storage import StepStorage
from backend.settings import Settings
from backend.training.registry import ModelRegistry


class SuggestionVersions:
    """The versions that projects report to Label Studio, which asks again when they change."""

    def __init__(self, settings: Settings, database: Database, models: ModelRegistry) -> None:
        self._steps = StepStorage(database, limit=settings.learn_examples)
        self._models = models

    def current(self, project_uid: str) -> str:
        """Return the current version of a project's suggestions."""
        return self._steps.version(project_uid, self._models.active(project_uid).version)

    def has_learnt(self, project_uid: str) -> bool:
        """Return whether a project's suggestions know anything from its corrections."""
        step = self._steps.current(project_uid, self._models.active(project_uid).version)
        return bool(step and step.name)
