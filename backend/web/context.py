"""The objects that the routes call, assembled once by `backend.web.app.create_app`."""

from dataclasses import dataclass

from flask import current_app

from backend.contract.service import LabelStudioContract
from backend.labelstudio.projects import Project, ProjectStorage, project_id_of
from backend.labelstudio.shapes import Json
from backend.learning.progress import say_progress
from backend.learning.records import LearningStatus
from backend.learning.storage import ExampleStorage
from backend.learning.versions import SuggestionVersions
from backend.suggestions.cold_start import ColdStart
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.unfinished_work import UnfinishedWork
from backend.training.registry import Model, ModelRegistry
from backend.training.requests import TrainingRequests
from backend.verdicts.set_aside_storage import SetAsideStorage
from backend.web.prometheus import BackendMetrics
from backend.web.readiness import ReadinessProbe
from backend.web.status import StatusService

BACKEND = "backend"


@dataclass(frozen=True, slots=True)
class ProjectState:
    """What holds for one project.

    Attributes:
        project: its uid.
        model_version: version of its suggestions: the model, and what was learnt.
        has_weights: whether the weights of its model exist.
        settings: those of its own; see `ProjectSettings.as_json`.
        learning: how far it has learnt what people corrected.
        progress: the same in words, with what comes next.
        advice: what to do before it gets suggestions; None if it gets some.
    """

    project: str
    model_version: str
    has_own_model: bool
    has_weights: bool
    settings: Json
    learning: LearningStatus
    progress: str
    advice: str | None

    @property
    def number(self) -> int | None:
        """Its id in Label Studio; None if its uid does not tell."""
        return project_id_of(self.project)


@dataclass(frozen=True)
class Backend:
    """The services behind the routes of Label Studio's contract and of the status.

    Attributes:
        contract: answers /setup, /predict and /webhook.
        projects: stores the connection and configuration of each project.
        stored_predictions: every prediction that was requested.
        models: which model is active.
        versions: the version of each project's suggestions.
        trainings: starts and lists trainings.
        metrics: figures for Prometheus.
        cold_start: knows which projects have to begin by correcting.
        examples: what people corrected.
        work: what is not done.
        set_aside: events that could not be handled.
        status: what the status page shows.
        readiness: whether requests can be answered.
    """

    contract: LabelStudioContract
    projects: ProjectStorage
    stored_predictions: PredictionStorage
    models: ModelRegistry
    versions: SuggestionVersions
    trainings: TrainingRequests
    metrics: BackendMetrics
    cold_start: ColdStart
    examples: ExampleStorage
    work: UnfinishedWork
    set_aside: SetAsideStorage
    status: StatusService
    readiness: ReadinessProbe

    @property
    def model_version(self) -> str:
        """Version of the deployment's active model, or the last known if the database is down."""
        return self.models.active_or_last_known().version

    def project_states(self) -> list[ProjectState]:
        """Return what holds for each known project."""
        own = self.models.own_models()
        deployment = self.models.active()
        projects = self.projects.projects()
        versions = {each.uid: own.get(each.uid, deployment).version for each in projects}
        learning = self.examples.statuses(versions)
        return [
            self._state(project, learning[project.uid], own.get(project.uid), deployment)
            for project in projects
        ]

    def _state(
        self, project: Project, learning: LearningStatus, own: Model | None, deployment: Model
    ) -> ProjectState:
        has_learnt = learning.in_use > 0
        advice = self.cold_start.advice_with(project, own or deployment, has_learnt)
        return ProjectState(
            project=project.uid,
            model_version=learning.version,
            has_own_model=own is not None,
            has_weights=(own or deployment).has_weights,
            settings=project.settings.as_json(),
            learning=learning,
            progress=say_progress(learning, suggests_before=advice is None),
            advice=advice,
        )


def current_backend() -> Backend:
    """Return the context of the application that handles the request."""
    backend: Backend = current_app.extensions[BACKEND]
    return backend
