"""Settings that a project gets in Label Studio's dialog: accept them, and check what they name."""

import logging
from collections.abc import Iterator

from backend.labelstudio.label_config import KeypointControl, LabelConfigError, keypoint_control
from backend.labelstudio.project_settings import (
    DEPLOYMENT,
    ExtraParamsError,
    ProjectSettings,
    read_extra_params,
)
from backend.labelstudio.projects import Project, ProjectStorage
from backend.labelstudio.visibility import choices_about_regions
from backend.learning.step_storage import StepStorage
from backend.training.registry import ModelRegistry

logger = logging.getLogger(__name__)


class ExtraParams:
    """The settings that projects get as "Any extra params" of Label Studio's dialog."""

    def __init__(self, projects: ProjectStorage, models: ModelRegistry, steps: StepStorage) -> None:
        self._projects = projects
        self._models = models
        self._steps = steps

    def accept(self, project: Project, raw: object) -> None:
        """Store the settings that /setup brings for a known project.

        What is stored already is not checked again for the labels and the model that it names:
        both may change later, and a project must not lose its suggestions then. `problems` tells.

        Raises:
            ExtraParamsError: they are malformed, or new ones name a label or a model that does not
                exist; what was stored before stays.
        """
        settings = read_extra_params(raw)
        if settings == project.settings:
            return
        problems = list(self.problems(project, settings))
        if problems:
            raise ExtraParamsError(f"Extra params: {'; '.join(problems)}")
        self._projects.save_settings(project.uid, settings)
        self._steps.advance(project.uid)  # another tolerance makes other scores
        logger.info("Project %s: settings of its own: %s", project.uid, settings)

    def problems(self, project: Project, settings: ProjectSettings) -> Iterator[str]:
        """Yield what settings name and the project does not have."""
        try:
            control = keypoint_control(project.label_config or "")
        except LabelConfigError:  # /setup's answer and the doctor tell this already
            control = None
        if control is not None:
            yield from _unknown_labels(settings, control)
            yield from _unknown_choices(settings, project.label_config or "")
        named = settings.model
        if named is None or named == DEPLOYMENT:
            return
        usable = [model.version for model in self._models.all() if model.has_weights]
        if named not in usable:
            gone = ", whose weights do not exist" if self._models.find(named) else ""
            yield f"expected model to be {' or '.join([DEPLOYMENT, *usable])}, got {named!a}{gone}"


def _unknown_labels(settings: ProjectSettings, control: KeypointControl) -> Iterator[str]:
    if any(each.labels_path is not None for each in control.of_images):
        return  # each task has labels of its own
    for name in settings.thresholds or {}:
        if all(each.find_label(name) is None for each in control.of_images):
            labels = dict.fromkeys(label for each in control.of_images for label in each.labels)
            known = ", ".join(map(ascii, labels)) or "none"
            names = " and ".join(each.from_name for each in control.of_images)
            yield f"expected thresholds to name labels of {names} ({known}), got {name!a}"


def _unknown_choices(settings: ProjectSettings, label_config: str) -> Iterator[str]:
    known = choices_about_regions(label_config)
    for name in settings.visibility or {}:
        if name not in known:
            listed = ", ".join(map(ascii, sorted(known))) or "none"
            yield (
                f'expected visibility to name choices of a <Choices perRegion="true"> ({listed}), '
                f"got {name!a}"
            )
