"""What to tell a project that gets no suggestions before its first corrections."""

from pathlib import Path

from backend.labelstudio.label_config import KeypointControl, LabelConfigError, keypoint_control
from backend.labelstudio.projects import Project
from backend.learning.progress import TO_DO
from backend.learning.versions import SuggestionVersions
from backend.settings import Settings
from backend.suggestions.shown import is_label_known
from backend.training.registry import Model, ModelRegistry
from model.weights_files import is_file_name, read_sidecar

ADVICE = (
    f"{TO_DO}; suggestions begin with what that teaches "
    '(for points without names before that, set "suggest": "always" in the extra params)'
)


class ColdStart:
    """Knows which projects have to begin by correcting."""

    def __init__(
        self, settings: Settings, models: ModelRegistry, versions: SuggestionVersions
    ) -> None:
        self._settings = settings
        self._models = models
        self._versions = versions

    def advice(self, project: Project) -> str | None:
        """Return what to do before a project gets suggestions; None if it gets some."""
        model = self._models.active(project.uid)
        return self.advice_with(project, model, self._versions.has_learnt(project.uid))

    def advice_with(self, project: Project, model: Model, has_learnt: bool) -> str | None:
        """Return the same without asking the database.

        Args:
            model: the active model of the project.
            has_learnt: whether its suggestions know anything from its corrections.
        """
        suggest = project.settings.suggest or self._settings.suggest
        try:
            control = keypoint_control(project.label_config or "")
        except LabelConfigError:
            return None  # /setup's answer says so already
        if suggest == "always" or has_learnt:
            return None
        known = self._is_some_label_known(control, model)
        return None if suggest == "worthwhile" and known else ADVICE

    def _is_some_label_known(self, control: KeypointControl, model: Model) -> bool:
        if any(each.labels_path is not None for each in control.of_images):
            return True  # each task has labels of its own, which may name the class
        names, default = _classes(model) or ("",), self._settings.default_label
        return any(
            is_label_known(each, name, default) for each in control.of_images for name in names
        )


def _classes(model: Model) -> tuple[str, ...]:
    """Return the classes of a model; none for torchvision's own weights, which name no file."""
    if model.trained is not None:
        return model.trained.classes
    if not is_file_name(model.weights):
        return ()
    try:
        return tuple(map(str, read_sidecar(Path(model.weights)).get("classes", ())))
    except (OSError, ValueError):
        return ()  # workers report it
