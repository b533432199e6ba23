"""The objects that the routes call, assembled once by `backend.web.app.create_app`."""

from dataclasses import dataclass

from flask import current_app

from backend.labelstudio.projects import ProjectStorage
from backend.suggestions.answers import PredictService
from backend.suggestions.storage import PredictionStorage
from backend.training.registry import ModelRegistry
from backend.training.requests import TrainingRequests
from backend.verdicts.storage import EventStorage
from backend.web.prometheus import BackendMetrics

BACKEND = "backend"


@dataclass(frozen=True)
class Backend:
    """The services behind the routes of Label Studio's contract and of the status.

    Attributes:
        projects: stores the connection and configuration of each project.
        predictions: answers /predict.
        stored_predictions: every prediction that was requested.
        events: what Label Studio's webhook sent.
        models: which model is active.
        trainings: starts and lists trainings.
        metrics: figures for Prometheus.
    """

    projects: ProjectStorage
    predictions: PredictService
    stored_predictions: PredictionStorage
    events: EventStorage
    models: ModelRegistry
    trainings: TrainingRequests
    metrics: BackendMetrics

    @property
    def model_version(self) -> str:
        """Version of the active model, or of the last known one if the database is unreachable."""
        return self.models.active_or_last_known().version


def current_backend() -> Backend:
    """Return the context of the application that handles the request."""
    backend: Backend = current_app.extensions[BACKEND]
    return backend
