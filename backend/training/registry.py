"""The models that exist, and which of them is active: that of the settings, or a trained one.

A backend has one active model at a time, for all of its projects. Activations form a stack: the
top one is active, and `activate_previous` removes it.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database
from backend.settings import Settings
from backend.training.records import TrainedModel
from backend.training.storage import ModelStorage
from model.settings import version_name


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be active.

    Attributes:
        version: identifies weights and detector settings together.
        arch, weights: see `model.networks.load_classifier`.
        trained: None for the model of the settings.
    """

    version: str
    arch: str
    weights: str
    trained: TrainedModel | None = None


class UnknownModel(ValueError):
    """No model has that version, or none was active before; the message says what to do."""


class ModelRegistry:
    """All models. Reads the settings' weights file once, to compute its version.

    Raises:
        OSError: the weights file of the settings cannot be read.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._folder = settings.models_folder
        self._detector = settings.detector_settings()
        self._storage = ModelStorage(database)
        self.of_settings = Model(settings.model_version(), *settings.model())
        self._last_known = self.of_settings

    def active(self) -> Model:
        """Return the active model."""
        trained = self._storage.active_model()
        self._last_known = self.of_settings if trained is None else self._model(trained)
        return self._last_known

    def active_or_last_known(self) -> Model:
        """Return the active model, or the last known one if the database is unreachable."""
        try:
            return self.active()
        except SQLAlchemyError:
            return self._last_known

    def all(self) -> list[Model]:
        """Return every model: trained ones, newest first, then that of the settings."""
        return [*map(self._model, self._storage.models()), self.of_settings]

    def activate(self, version: str) -> Model:
        """Make the model of a version active.

        Raises:
            UnknownModel: no model has that version.
        """
        for model in self.all():
            if model.version == version:
                if model != self.active():
                    self._storage.activate(model.trained.id if model.trained else None, "command")
                return model
        known = ", ".join(model.version for model in self.all())
        raise UnknownModel(
            f"expected the version of a model, got {version!r}: choose one of {known}"
        )

    def activate_previous(self) -> Model:
        """Activate the model that was active before the current one.

        Raises:
            UnknownModel: no model was active before.
        """
        if not self._storage.undo_activation():
            raise UnknownModel(
                f"expected a model that was active before {self.of_settings.version}, but that "
                "one, of the settings, was the first: train a model, or activate one by its version"
            )
        return self.active()

    def state(self, model: Model) -> str:
        """Return `active`, `retired` if the model once was active, or `candidate` if never."""
        if model == self.active():
            return "active"
        once = model.trained is None or model.trained.id in self._storage.ever_active()
        return "retired" if once else "candidate"

    def _model(self, trained: TrainedModel) -> Model:
        version = version_name(trained.arch, trained.fingerprint, self._detector)
        return Model(version, trained.arch, str(self._folder / trained.file), trained)


def active_model(settings: Settings) -> Model:
    """Return the active model of a deployment, without creating a database that does not exist.

    Raises:
        OSError: the weights file of the settings cannot be read.
    """
    place = make_url(settings.database)
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").exists():
        return Model(settings.model_version(), *settings.model())
    database = Database(settings.database)
    try:
        return ModelRegistry(settings, database).active_or_last_known()
    finally:
        database.engine.dispose()
