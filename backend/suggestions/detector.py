"""The detector of the active model, reloaded when another model becomes active."""

import logging
from dataclasses import dataclass

from backend.settings import Settings
from backend.training.registry import ModelRegistry
from model.detector import Detector
from model.networks import load_classifier

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedDetector:
    """A detector and the version of its model."""

    version: str
    detector: Detector


class ModelUnusable(Exception):
    """The active model cannot be loaded here; the message says what to do, in one line."""


class ActiveDetector:
    """The detector of the active model; asks the database before each job which one that is."""

    def __init__(self, settings: Settings, registry: ModelRegistry) -> None:
        self._settings = settings.detector_settings()
        self._registry = registry
        self._loaded: LoadedDetector | None = None

    def get(self) -> LoadedDetector:
        """Return the detector of the active model, and load it if needed.

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
                advice = (
                    " (it was trained: every worker needs access to the MODELS_DIR of the trainer; "
                    "`python -m backend models back` activates the previous model)"
                )
                raise ModelUnusable(reason + (advice if model.trained else "")) from error
            self._loaded = LoadedDetector(model.version, detector)
            logger.info(
                "Loaded the active model, version %s, %s",
                model.version,
                f"trained for project {model.trained.project_uid}"
                if model.trained
                else "from the settings",
            )
        return self._loaded

    def successor_of(self, version: str) -> str | None:
        """Return the active version if it replaced another one that is known here.

        Returns:
            None if `version` is active, or unknown because a process has other settings.
        """
        active = self._registry.active().version
        known = version == active or any(model.version == version for model in self._registry.all())
        return active if known and version != active else None
