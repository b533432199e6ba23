"""The version of a project's suggestions: that of its model, and of what was learnt since."""

from backend.database.connection import Database
from backend.learning.records import base_of, version_of
from backend.learning.step_storage import StepStorage
from backend.settings import Settings


class LearntVersions:
    """Adds to a model's version what a project has learnt with that model."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._steps = StepStorage(database, limit=settings.learn_examples)

    def version(self, project_uid: str, base_version: str) -> str:
        """Return the version of a project's suggestions, given that of its model."""
        step = self._steps.current(project_uid, base_version)
        return version_of(base_version, step.name if step else "")

    def successor_of(self, project_uid: str, version: str, base_version: str | None) -> str | None:
        """Return the version that has replaced another one.

        Args:
            base_version: version of the model that has replaced the one of `version`, if any.

        Returns:
            None if `version` is the newest.
        """
        newest = self.version(project_uid, base_version or base_of(version))
        return None if newest == version else newest
