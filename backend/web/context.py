"""The objects that the routes call, assembled once by `backend.web.app.create_app`."""

from dataclasses import dataclass

from flask import current_app

from backend.labelstudio.projects import Project, ProjectStorage, project_id_of
from backend.labelstudio.setup_trust import SetupTrust
from backend.labelstudio.shapes import Json
from backend.learning.progress import say_progress
from backend.learning.records import LearningStatus
from backend.learning.storage import ExampleStorage
from backend.learning.versions import SuggestionVersions
from backend.queue.wake import Waker
from backend.suggestions.answers import PredictService
from backend.suggestions.cold_start import ColdStart
from backend.suggestions.extra_params import ExtraParams
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.unfinished_work import UnfinishedWork
from backend.training.registry import Model, ModelRegistry
from backend.training.requests import TrainingRequests
from backend.verdicts.grouped_events import GroupedEvents
from backend.verdicts.set_aside_storage import SetAsideStorage
from backend.web.limits import Limits
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
        settings: those of its own; see `ProjectSettings.as_json`.
        learning: how far it has learnt what people corrected.
        progress: the same in words, with what comes next.
        advice: what to do before it gets suggestions; None if it gets some.
    """

    project: str
    model_version: str
    has_own_model: bool
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
        projects: stores the connection and configuration of each project.
        setup_trust: decides which connections are stored.
        limits: refuses what is too much.
        predictions: answers /predict.
        stored_predictions: every prediction that was requested.
        events: what Label Studio's webhook sent.
        models: which model is active.
        versions: the version of each project's suggestions.
        trainings: starts and lists trainings.
        metrics: figures for Prometheus.
        extra_params: accepts the settings of projects.
        cold_start: knows which projects have to begin by correcting.
        examples: what people corrected.
        work: what is not done.
        set_aside: events that could not be handled.
        status: what the status page shows.
        readiness: whether requests can be answered.
        waker: lets a worker record an event at once.
    """

    projects: ProjectStorage
    setup_trust: SetupTrust
    limits: Limits
    predictions: PredictService
    stored_predictions: PredictionStorage
    events: GroupedEvents
    models: ModelRegistry
    versions: SuggestionVersions
    trainings: TrainingRequests
    metrics: BackendMetrics
    extra_params: ExtraParams
    cold_start: ColdStart
    examples: ExampleStorage
    work: UnfinishedWork
    set_aside: SetAsideStorage
    status: StatusService
    readiness: ReadinessProbe
    waker: Waker

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
            settings=project.settings.as_json(),
            learning=learning,
            progress=say_progress(learning, suggests_before=advice is None),
            advice=advice,
        )

    def accept_extra_params(self, project_uid: str, raw: object) -> None:
        """Store the settings that /setup brings for a known project.

        Raises:
            ExtraParamsError: they cannot be used.
        """
        project = self.projects.project(project_uid)
        assert project is not None, "stored before"
        self.extra_params.accept(project, raw)


def current_backend() -> Backend:
    """Return the context of the application that handles the request."""
    backend: Backend = current_app.extensions[BACKEND]
    return backend
