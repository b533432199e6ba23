"""The models that exist, and which of them is active: that of the settings, or a trained one.

The deployment has an active model, and so may every project; a project without one of its own uses
the deployment's. Activations form a stack for each: the top one holds, and `activate_previous`
removes it. A model that a project's settings in Label Studio name comes before all of these.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database
from backend.labelstudio.project_settings import DEPLOYMENT
from backend.labelstudio.projects import Project, ProjectStorage
from backend.settings import Settings
from backend.training.records import Activation, TrainedModel
from backend.training.storage import ModelStorage
from model.settings import version_name
from model.weights_files import is_file_name

logger = logging.getLogger(__name__)


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

    @property
    def has_weights(self) -> bool:
        """Whether its weights file exists here; torchvision's own are downloaded."""
        return not is_file_name(self.weights) or Path(self.weights).is_file()


class UnknownModel(ValueError):
    """No model to choose: the version is unknown, its weights are gone, or none was active before.

    The message says what to do.
    """


class ModelRegistry:
    """All models. Reads the settings' weights file once, to compute its version.

    Methods take the uid of a project, or None for the deployment.

    Raises:
        OSError: the weights file of the settings cannot be read.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._folder = settings.models_folder
        self._detector = settings.detector_settings()
        self._storage = ModelStorage(database)
        self._projects = ProjectStorage(database)
        self.of_settings = Model(settings.model_version(), *settings.model())
        self._last_known = self.of_settings

    def active(self, project_uid: str | None = None) -> Model:
        """Return the active model."""
        if project_uid is not None:
            return self._active_of(project_uid, self._projects.project(project_uid))
        self._last_known = self._activated(None) or self.of_settings
        return self._last_known

    def active_of(self, project: Project) -> Model:
        """Return the active model of a project that was read just now."""
        return self._active_of(project.uid, project)

    def own(self, project_uid: str) -> Model | None:
        """Return the model that a project has of its own; None if it uses the deployment's."""
        named = self.named_by(project_uid)
        if named is None:
            return self._activated(project_uid)
        return None if named == DEPLOYMENT else self.find(named)

    def named_by(self, project_uid: str) -> str | None:
        """Return the version, or `DEPLOYMENT`, that a project's settings name.

        Returns:
            None if they name none, or one that is no longer there: versions change with the
            detector's settings.
        """
        return self._named_by(self._projects.project(project_uid))

    def find(self, version: str) -> Model | None:
        """Return the model of a version; None if there is none."""
        return next((model for model in self.all() if model.version == version), None)

    def active_or_last_known(self) -> Model:
        """Return the deployment's active model, or the last known if the database is down."""
        try:
            return self.active()
        except SQLAlchemyError:
            return self._last_known

    def all(self) -> list[Model]:
        """Return every model: trained ones, newest first, then that of the settings."""
        return [*map(self._model, self._storage.models()), self.of_settings]

    def own_models(self) -> dict[str, Model]:
        """Return uid → model for each project that has one of its own, sorted."""
        named = [each.uid for each in self._projects.projects() if each.settings.model]
        uids = sorted({*named, *self._storage.projects_with_activations()})
        found = {uid: self.own(uid) for uid in uids}
        return {uid: model for uid, model in found.items() if model is not None}

    def activate(self, version: str, project_uid: str | None = None) -> Model:
        """Make the model of a version active.

        Raises:
            UnknownModel: no model has that version, its weights do not exist, or the project's
                settings name another one.
        """
        self._expect_free(project_uid)
        model = self.find(version)
        if model is None:
            known = ", ".join(model.version for model in self.all())
            raise UnknownModel(
                f"expected the version of a model, got {version!r}: choose one of {known}"
            )
        self._expect_weights(model)
        if model != (self.own(project_uid) if project_uid else self.active()):
            trained = model.trained.id if model.trained else None
            self._storage.activate(trained, "command", project_uid)
        return model

    def activate_previous(self, project_uid: str | None = None) -> Model:
        """Activate the model that was active before the current one.

        Those whose weights do not exist any more are passed over.

        Raises:
            UnknownModel: no model with weights was active before, or the project's settings name
                one.
        """
        self._expect_free(project_uid)
        stack = self._storage.stack(project_uid)
        if not stack:
            raise UnknownModel(
                f"expected a model that was active before {self.active(project_uid).version}, but "
                f"{'the project has none of its own' if project_uid else 'it was the first'}: "
                "train a model, or activate one by its version"
            )
        earlier = [self._model_of(each) for each in stack[1:]]
        earlier.append(self.active() if project_uid else self.of_settings)
        for number, model in enumerate(earlier, 1):
            if model.has_weights:
                self._storage.undo_activations(stack[:number])
                return self.active(project_uid)
            logger.warning("Passed over %s: %s does not exist", model.version, model.weights)
        raise UnknownModel(
            f"expected weights of a model that was active before {self._model_of(stack[0]).version}"
            f", but none exist any more: {self._ways_out()}"
        )

    def follow_deployment(self, project_uid: str) -> Model:
        """Have a project use the deployment's active model, and return that.

        Raises:
            UnknownModel: the weights of that model do not exist, or the project's settings name a
                model.
        """
        self._expect_free(project_uid)
        self._expect_weights(self.active())
        self._storage.undo_all_activations(project_uid)
        return self.active(project_uid)

    def state(self, model: Model, project_uid: str | None = None) -> str:
        """Return whether a model is active.

        Returns:
            `active`, `in use` if it is not that of the deployment but a project's own, `retired`
            if it once was active anywhere, or `candidate` if never.
        """
        if model == self.active(project_uid):
            return "active"
        if project_uid is None and model in self.own_models().values():
            return "in use"
        once = model.trained is None or model.trained.id in self._storage.ever_active()
        return "retired" if once else "candidate"

    def _expect_free(self, project_uid: str | None) -> None:
        named = self.named_by(project_uid) if project_uid else None
        if named:
            raise UnknownModel(
                f"expected a project without a model in its extra params, but those of project "
                f"{project_uid} name {named}: change them in Label Studio, under Settings > Model"
            )

    def _expect_weights(self, model: Model) -> None:
        if not model.has_weights:
            raise UnknownModel(
                f"expected the weights of {model.version}, but {model.weights} does not exist: "
                f"{self._ways_out()}"
            )

    def _ways_out(self) -> str:
        """Say what to do where the weights of a model do not exist."""
        usable = ", ".join(each.version for each in self.all() if each.has_weights)
        return (
            f"activate {usable} by its version, set MODELS_DIR to the folder of the trainings, or "
            "train a model"
        )

    def _active_of(self, project_uid: str, project: Project | None) -> Model:
        named = self._named_by(project)
        if named not in (None, DEPLOYMENT) and (model := self.find(named)):
            return model
        own, of_deployment = self._storage.activations(project_uid)
        if own is not None and named is None:
            return self._model_of(own)
        self._last_known = self._model_of(of_deployment) if of_deployment else self.of_settings
        return self._last_known

    def _named_by(self, project: Project | None) -> str | None:
        named = project.settings.model if project else None
        return named if named == DEPLOYMENT or (named and self.find(named)) else None

    def _activated(self, project_uid: str | None) -> Model | None:
        activation = self._storage.activation(project_uid)
        return None if activation is None else self._model_of(activation)

    def _model_of(self, activation: Activation) -> Model:
        return self._model(activation.model) if activation.model else self.of_settings

    def _model(self, trained: TrainedModel) -> Model:
        version = version_name(trained.arch, trained.fingerprint, self._detector)
        return Model(version, trained.arch, str(self._folder / trained.file), trained)


def active_model(settings: Settings) -> Model:
    """Return the active model of a deployment, without creating a database that does not exist.

    Raises:
        OSError: the weights file of the settings cannot be read.
    """
    with existing_database(settings) as database:
        if database is None:
            return Model(settings.model_version(), *settings.model())
        return ModelRegistry(settings, database).active_or_last_known()


def active_versions(settings: Settings) -> set[str]:
    """Return the versions of the active models: of the deployment, and of projects of their own.

    Raises:
        OSError: the weights file of the settings cannot be read.
    """
    with existing_database(settings) as database:
        if database is None:
            return {settings.model_version()}
        registry = ModelRegistry(settings, database)
        found = {registry.active_or_last_known().version}
        try:
            return found | {model.version for model in registry.own_models().values()}
        except SQLAlchemyError:  # as for the active one, what is known without it
            return found


@contextmanager
def existing_database(settings: Settings) -> Iterator[Database | None]:
    """Inside the block, use the database as it is; None if it is SQLite's and does not exist."""
    place = make_url(settings.database)
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").exists():
        yield None
        return
    database = Database(settings.database)
    try:
        yield database
    finally:
        database.close()
