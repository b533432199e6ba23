"""The detectors of the active models; each project may have a model of its own."""

import logging
from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from backend.labelstudio.projects import Project
from backend.settings import Settings
from backend.training.registry import Model, ModelRegistry
from model.detector import Detector
from model.networks import load_classifier

logger = logging.getLogger(__name__)

MIB = 2**20


@dataclass(frozen=True)
class LoadedDetector:
    """A detector, the version of its model, and the size of its network in bytes."""

    version: str
    detector: Detector
    size: int


class ModelUnusable(Exception):
    """An active model cannot be loaded here; the message says what to do, in one line."""


class ActiveDetectors:
    """The detectors of the active models; asks the database before each job which one that is.

    The detectors used last stay loaded, as many as MODEL_MEMORY allows.
    """

    def __init__(self, settings: Settings, registry: ModelRegistry) -> None:
        self._settings = settings.detector_settings()
        self._limit = settings.model_memory * MIB
        self._registry = registry
        self._loaded: OrderedDict[str, LoadedDetector] = OrderedDict()  # least recently used first

    def get(self, project_uid: str | None = None) -> LoadedDetector:
        """Return the detector of a project's active model, and load it if needed.

        Args:
            project_uid: None for the model of the deployment.

        Raises:
            ModelUnusable: its weights are missing or do not fit.
        """
        return self.of(self._registry.active(project_uid), project_uid)

    def active(self, project: Project) -> Model:
        """Return the active model of a project that was read just now."""
        return self._registry.active_of(project)

    def of(self, model: Model, project_uid: str | None) -> LoadedDetector:
        """Return the detector of a model that is active for a project; see `get`."""
        if model.version not in self._loaded:
            self._loaded[model.version] = self._load(model, project_uid)
        self._loaded.move_to_end(model.version)
        self._unload_others()
        return self._loaded[model.version]

    def is_replaced(self, version: str, active: Model) -> bool:
        """Return whether the active model has replaced that of a version.

        Returns:
            False for the same version, and for one that is unknown here because a process has
            other settings.
        """
        return version != active.version and self._registry.find(version) is not None

    def _load(self, model: Model, project_uid: str | None) -> LoadedDetector:
        try:
            classifier = load_classifier(model.arch, model.weights)
            detector = Detector(classifier, self._settings)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ModelUnusable(reason + _advice(model, project_uid)) from error
        logger.info(
            "Loaded model %s, %s, on %s",
            model.version,
            f"trained for project {model.trained.project_uid}"
            if model.trained
            else "from the settings",
            detector.device,
        )
        return LoadedDetector(model.version, detector, size_of(classifier.network))

    def _unload_others(self) -> None:
        """Unload the least recently used detectors until the rest fits; the last one stays."""
        while len(self._loaded) > 1 and self._total() > self._limit:
            version, _ = self._loaded.popitem(last=False)
            logger.info("Unloaded model %s, because of MODEL_MEMORY", version)

    def _total(self) -> int:
        return sum(each.size for each in self._loaded.values())


def size_of(network: nn.Module) -> int:
    """Return the size of a network's parameters and buffers in bytes."""
    tensors = [*network.parameters(), *network.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _advice(model: Model, project_uid: str | None) -> str:
    if model.trained is None:
        return ""
    number = (project_uid or "").partition(".")[0]
    option = f" --project {number}" if number else ""
    return (
        " (it was trained: every worker needs access to the MODELS_DIR of the trainer; "
        f"`python -m backend models back{option}` activates the previous model)"
    )
