"""The detector of the model that answers, loaded anew as soon as another one does."""

import logging
from dataclasses import dataclass

from backend.settings import Settings
from backend.training.registry import ModelRegistry
from model.detector import Detector
from model.networks import load_classifier

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A detector with the version of its model."""

    version: str
    detector: Detector


class ModelUnusable(Exception):
    """The model that answers cannot be loaded here; one line that says what to do."""


class CurrentDetector:
    """What a worker detects with; a look at the database before each job keeps it up to date."""

    def __init__(self, settings: Settings, registry: ModelRegistry) -> None:
        self._settings = settings.detector_settings()
        self._registry = registry
        self._loaded: Loaded | None = None

    def get(self) -> Loaded:
        """The detector of the model that answers now.

        Raises:
            ModelUnusable: its weights are missing or do not fit.
        """
        model = self._registry.active()
        if self._loaded is None or self._loaded.version != model.version:
            try:
                classifier = load_classifier(model.arch, model.weights)
                detector = Detector(classifier, self._settings)
            except (OSError, ValueError) as error:
                reason = " ".join(str(error).split())
                way_out = (
                    " (it was trained: every worker must reach the MODELS_DIR of the one that "
                    "trains; `python -m backend models back` takes the model before it)"
                )
                raise ModelUnusable(reason + (way_out if model.trained else "")) from error
            self._loaded = Loaded(model.version, detector)
            log.info(
                "Model version %s answers, %s",
                model.version,
                f"trained for project {model.trained.project_uid}"
                if model.trained
                else "that of the settings",
            )
        return self._loaded

    def successor_of(self, version: str) -> str | None:
        """The version that answers in the place of another; None where that is not our business.

        A version that nobody knows here is of a process with other settings.
        """
        current = self._registry.active().version
        known = version == current or any(
            model.version == version for model in self._registry.all()
        )
        return current if known and version != current else None
