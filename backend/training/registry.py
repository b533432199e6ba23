"""Which model answers: that of the settings, or one that was trained. Nobody else decides that.

One backend has one model at a time, for all of its projects. Choices form a pile: the uppermost
model answers, and going back takes it away.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database
from backend.settings import Settings
from backend.training.records import TrainedModel
from backend.training.storage import TrainingStorage
from model.settings import version_name


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can answer.

    Attributes:
        version: name of weights and detector settings together.
        arch, weights: see `model.networks.load_classifier`.
        trained: None for the model of the settings.
    """

    version: str
    arch: str
    weights: str
    trained: TrainedModel | None = None


class UnknownModel(ValueError):
    """There is no model of that version, or none to go back to; says what there is."""


class ModelRegistry:
    """The models that there are; reads the settings' weights file once, to name its version.

    Raises:
        OSError: the weights file of the settings cannot be read.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._folder = settings.models_folder
        self._detector = settings.detector_settings()
        self._storage = TrainingStorage(database)
        self.of_settings = Model(settings.model_version(), *settings.model())
        self._seen = self.of_settings

    def current(self) -> Model:
        """The model that answers now."""
        chosen = self._storage.chosen()
        self._seen = self.of_settings if chosen is None else self._model(chosen)
        return self._seen

    def current_or_last(self) -> Model:
        """The model that answers now; the last that is known of, where the database is not."""
        try:
            return self.current()
        except SQLAlchemyError:
            return self._seen

    def every(self) -> list[Model]:
        """All that can be chosen: trained ones, the newest first, then that of the settings."""
        return [*map(self._model, self._storage.models()), self.of_settings]

    def use(self, version: str) -> Model:
        """Let another model answer from now on.

        Raises:
            UnknownModel: there is none of that version.
        """
        for model in self.every():
            if model.version == version:
                if model != self.current():
                    self._storage.choose(model.trained.id if model.trained else None, "command")
                return model
        known = ", ".join(model.version for model in self.every())
        raise UnknownModel(f"expected the version of a model, got {version!r}; there are {known}")

    def back(self) -> Model:
        """Let the model answer that did before the present one.

        Raises:
            UnknownModel: none did.
        """
        if not self._storage.undo_choice():
            raise UnknownModel(
                f"expected a model that answered before {self.of_settings.version}, but that one "
                "is of the settings and was the first"
            )
        return self.current()

    def state(self, model: Model) -> str:
        """`current`, `retired` for what once was, `candidate` for what never was."""
        if model == self.current():
            return "current"
        once = model.trained is None or model.trained.id in self._storage.ever_chosen()
        return "retired" if once else "candidate"

    def _model(self, trained: TrainedModel) -> Model:
        version = version_name(trained.arch, trained.fingerprint, self._detector)
        return Model(version, trained.arch, str(self._folder / trained.file), trained)


def model_that_answers(settings: Settings) -> Model:
    """The model of a deployment at this moment, without making anything where there is none yet.

    Raises:
        OSError: the weights file of the settings cannot be read.
    """
    place = make_url(settings.database)
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").exists():
        return Model(settings.model_version(), *settings.model())
    database = Database(settings.database)
    try:
        return ModelRegistry(settings, database).current_or_last()
    finally:
        database.engine.dispose()
