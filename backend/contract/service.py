"""What Label Studio asks of an ML backend, whichever program takes its requests.

`backend.web` serves it, and so does `label-studio-ml` with `backend.hosts.label_studio_ml_model`.
"""

import logging
from dataclasses import dataclass

from rq import Queue

from backend.contract.limits import Limits
from backend.database.connection import Database
from backend.labelstudio.export_advice import export_advice
from backend.labelstudio.label_config import LabelConfigError, keypoint_control, unserved_images
from backend.labelstudio.projects import Project, ProjectStorage
from backend.labelstudio.schemas import (
    PredictRequest,
    SetupRequest,
    WebhookEvent,
    without_token,
)
from backend.labelstudio.setup_trust import SetupTrust
from backend.labelstudio.shapes import Json
from backend.learning.step_storage import StepStorage
from backend.learning.versions import SuggestionVersions
from backend.queue.wake import Waker
from backend.settings import Settings
from backend.suggestions.answers import PredictService
from backend.suggestions.cold_start import ColdStart
from backend.suggestions.extra_params import ExtraParams
from backend.suggestions.reply import Answer
from backend.training.queue import make_training_queue
from backend.training.registry import ModelRegistry
from backend.training.requests import TrainingRequests
from backend.verdicts.grouped_events import GroupedEvents
from backend.verdicts.storage import ACTIONS

logger = logging.getLogger(__name__)

START_TRAINING = "START_TRAINING"
# The events that something is done with; all others are stored as they come.
HANDLED_EVENTS = (*ACTIONS, START_TRAINING)


class NoLabelConfig(ValueError):
    """A request says nothing of an unknown project; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SetupAnswer:
    """Answer to /setup.

    Attributes:
        model_version: of the project's suggestions.
        error: why nothing can be suggested with the labelling configuration; None if it fits.
        advice: what to do before the project, or one of its images, gets suggestions, and before
            Label Studio can export the points; None if nothing is to be done.
    """

    model_version: str
    error: str | None
    advice: str | None

    def as_json(self) -> Json:
        """Return the answer without what is None."""
        found = {"error": self.error, "advice": self.advice}
        said = {name: text for name, text in found.items() if text}
        return {"model_version": self.model_version, **said}


@dataclass(frozen=True, slots=True)
class PredictAnswer:
    """Answer to /predict.

    Attributes:
        results: one for each task, in their order; `[]` for what a worker delivers.
        error: why nothing can be suggested with the labelling configuration; None if it fits.
    """

    results: list[Answer]
    error: str | None = None

    def as_json(self) -> Json:
        """Return the answer, with the error if there is one."""
        results: Json = {"results": self.results}
        return {**results, "error": self.error} if self.error else results


class LabelStudioContract:
    """Answers /setup, /predict and /webhook; connects to nothing before the first request.

    Args:
        database: with its tables.
        queue: the queue of detection jobs; see `backend.suggestions.queue.make_queue`.

    Raises:
        OSError: the weights file of the settings cannot be read.
    """

    def __init__(self, settings: Settings, database: Database, queue: Queue) -> None:
        self.models = ModelRegistry(settings, database)
        self.projects = ProjectStorage(database, keeps_tokens=settings.uses_tokens_of_setup)
        self.versions = SuggestionVersions(settings, database, self.models)
        self.cold_start = ColdStart(settings, self.models, self.versions)
        self.trainings = TrainingRequests(settings, database, make_training_queue(queue.connection))
        steps = StepStorage(database, limit=settings.learn_examples)
        self._limits = Limits(settings, database, queue.connection)
        self._trust = SetupTrust(settings)
        self._extra_params = ExtraParams(self.projects, self.models, steps)
        self._predictions = PredictService(settings, database, queue, self.versions.current)
        self._events = GroupedEvents(database)
        self._waker = Waker(queue.connection)

    def set_up(self, request: SetupRequest) -> SetupAnswer:
        """Store a project's connection and settings, and report its active model.

        Raises:
            ExtraParamsError: its settings cannot be used.
            LimitReached: see `Limits.admit_project`.
        """
        self._limits.admit_project(request.project)
        label_config = request.label_config or ""
        self._save_connection(request, label_config)
        if request.has_extra_params:
            self._extra_params.accept(self._known(request.project), request.extra_params)
        version = self.versions.current(request.project)
        unnamed = request.hostname and self._trust.advice(request.hostname)
        error, unserved = _problems_of(request.project, label_config)
        advice = unnamed or self.cold_start.advice(self._known(request.project))
        for_exports = export_advice(label_config)
        said = [each for each in (advice, *unserved, for_exports) if each]
        return SetupAnswer(version, error, "; ".join(said) or None)

    def _save_connection(self, request: SetupRequest, label_config: str) -> None:
        named = request.hostname
        kept = self._trust.kept(named, request.access_token) if named else None
        if kept is None:
            self.projects.save_label_config(request.project, label_config)
            return
        self.projects.save_connection(
            request.project,
            hostname=kept.hostname,
            access_token=kept.access_token,
            label_config=label_config,
        )

    def _known(self, uid: str) -> Project:
        project = self.projects.project(uid)
        assert project is not None, "stored before"
        return project

    def predict(self, request: PredictRequest) -> PredictAnswer:
        """Answer with the predictions that are ready, and `[]` for those that a worker delivers.

        Raises:
            NoLabelConfig: the request brings no labelling configuration, and none is known.
            LimitReached: see `Limits.admit_project` and `Limits.admit_tasks`.
        """
        self._limits.admit_project(request.project)
        project, tasks, drawn = self._project(request), request.tasks, request.context
        try:
            control = keypoint_control(project.label_config or "")
        except LabelConfigError as error:
            logger.warning("Project %s: nothing can be predicted: %s", project.uid, error)
            return PredictAnswer([[] for _ in tasks], str(error))
        if drawn is None:
            self._limits.admit_tasks(project.uid, len(tasks))
            return PredictAnswer(self._predictions.answer(project, control, tasks))
        interactive = self._predictions.answer_interactive
        return PredictAnswer([interactive(project, control, each, drawn) for each in tasks])

    def _project(self, request: PredictRequest) -> Project:
        """Return the project of a request, with the configuration that the request brings."""
        if request.label_config is not None:
            self.projects.save_label_config(request.project, request.label_config)
        project = self.projects.project(request.project)
        if project is None:
            raise NoLabelConfig(
                "expected the labelling configuration in 'label_config', got nothing, and project "
                f"{request.project} is unknown: send it, or call /setup first"
            )
        return project

    def take_event(self, event: WebhookEvent, body: Json) -> Json:
        """Store an event as it came, and begin the training that it may ask for.

        Args:
            body: the event, raw.

        Returns:
            What Label Studio is answered.

        Raises:
            LimitReached: see `Limits.admit_event` and `Limits.admit_training`.
        """
        project = event.project
        asks_for_training = event.action == START_TRAINING
        self._limits.admit_event(project.id if project else None)
        if asks_for_training and project and project.uid:
            self._limits.admit_project(project.uid)
            self._limits.admit_training(project.uid)
        self._events.save_event(event.action, project.id if project else None, without_token(body))
        self._waker.wake()
        return self._start_training(event) if asks_for_training else {}

    def _start_training(self, event: WebhookEvent) -> Json:
        project = event.project
        if project is None or project.uid is None or project.label_config is None:
            missing = "expected the project to train on, with id, created_at and label_config"
            logger.warning("%s: %s", START_TRAINING, missing)
            return {"error": missing}
        return {"training": self.trainings.request(project.uid, project.label_config).id}


def _problems_of(project_uid: str, label_config: str) -> tuple[str | None, list[str]]:
    """Return why nothing can be suggested with a labelling configuration, and log it.

    Returns:
        None if something can, and then what keeps single images from suggestions.
    """
    try:
        return None, unserved_images(label_config)
    except LabelConfigError as error:
        logger.warning("Project %s: %s", project_uid, error)
        return str(error), []
