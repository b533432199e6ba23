"""Label Studio's contract for backends, and how it goes, for people. Thin: read, call, answer."""

import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import BadRequest, NotFound

from backend.database.connection import Database
from backend.database.schema import LARGEST_ID
from backend.labelstudio.label_config import LabelConfigError, keypoint_control
from backend.labelstudio.projects import Project, ProjectStorage
from backend.suggestions.answers import PredictService
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from backend.training.records import Training
from backend.training.registry import ModelRegistry
from backend.training.requests import TrainingRequests
from backend.verdicts.storage import EventStorage
from backend.web import request_bodies
from backend.web.prometheus import BackendMetrics

log = logging.getLogger(__name__)
bp = Blueprint("label_studio", __name__)

MODEL_CLASS = "KeypointDetector"
BACKEND = "backend"
START_TRAINING = "START_TRAINING"
SHOWN_TRAININGS = 20


@dataclass(frozen=True)
class Backend:
    """What the routes call; `app.extensions["backend"]`."""

    database: Database
    predictions: PredictService
    metrics: BackendMetrics
    models: ModelRegistry
    trainings: TrainingRequests

    @property
    def model_version(self) -> str:
        """Of the model that answers now; the last one that is known of, without a database."""
        return self.models.active_or_last_known().version


def _backend() -> Backend:
    backend: Backend = current_app.extensions[BACKEND]
    return backend


@bp.get("/health")
def health() -> Response:
    """Say at once that we are up; Label Studio gives it a second."""
    return jsonify(status="UP", model_class=MODEL_CLASS, model_version=_backend().model_version)


@bp.get("/setup")
def version() -> Response:
    """Say which model answers."""
    return jsonify(model_version=_backend().model_version)


@bp.post("/setup")
def setup() -> Response:
    """Keep where a project is to be found, and say which model answers."""
    body = request_bodies.json_object()
    uid = request_bodies.project_uid(body)
    label_config = request_bodies.text(body, "schema") or ""
    hostname = request_bodies.web_address(body, "hostname")
    token = request_bodies.text(body, "access_token")
    if hostname:
        ProjectStorage(_backend().database).save_connection(
            uid, hostname=hostname, access_token=token, label_config=label_config
        )
    else:
        ProjectStorage(_backend().database).save_label_config(uid, label_config)
    answer = {"model_version": _backend().model_version}
    try:
        keypoint_control(label_config)
    except LabelConfigError as error:
        log.warning("Project %s: %s", uid, error)
        answer["error"] = str(error)
    return jsonify(answer)


@bp.get("/versions")
def versions() -> Response:
    """List the models that can answer."""
    return jsonify(versions=[_backend().model_version])


@bp.post("/predict")
def predict() -> Response:
    """Answer with the predictions at hand, `[]` where a worker brings it later."""
    body = request_bodies.json_object()
    tasks, project = request_bodies.tasks(body), _project(body)
    try:
        control = keypoint_control(project.label_config or "")
    except LabelConfigError as error:
        log.warning("Project %s: nothing can be predicted: %s", project.uid, error)
        return jsonify(results=[[] for _ in tasks], error=str(error))
    predictions, context = _backend().predictions, request_bodies.context(body)
    if context is None:
        return jsonify(results=predictions.answer(project, control, tasks))
    drawing = [predictions.answer_interactive(project, control, task, context) for task in tasks]
    return jsonify(results=drawing)


def _project(body: dict[str, Any]) -> Project:
    """The project that a body names, with the labelling configuration that it brings."""
    uid, database = request_bodies.project_uid(body), _backend().database
    label_config = request_bodies.text(body, "label_config")
    if label_config is not None:
        ProjectStorage(database).save_label_config(uid, label_config)
    project = ProjectStorage(database).project(uid)
    if project is None:
        raise BadRequest(
            f"expected the labelling configuration in 'label_config', got nothing, and project "
            f"{uid} is unknown: send it, or call /setup first"
        )
    return project


@bp.post("/webhook")
def webhook() -> Response:
    """Keep what happened, as it came; Label Studio gives it a second and does not try again."""
    body = request_bodies.json_object(odd_numbers=True)
    action = request_bodies.action(body)
    EventStorage(_backend().database).save_event(
        action, request_bodies.project_id(body), request_bodies.without_token(body)
    )
    if action == START_TRAINING:
        return _start_training(body)
    return jsonify({})


def _start_training(body: dict[str, Any]) -> Response:
    """Somebody pressed the button; what becomes of it, `/training` tells."""
    project = request_bodies.project_of_event(body)
    if project is None:
        missing = "expected the project to train on, with id, created_at and label_config"
        log.warning("START_TRAINING: %s", missing)
        return jsonify(error=missing)
    return jsonify(training=_backend().trainings.request(*project).id)


@bp.get("/training")
def training() -> Response:
    """How it goes with trainings, the newest first."""
    found = _backend().trainings.latest(SHOWN_TRAININGS, request.args.get("project"))
    return jsonify(trainings=[_training_told(each) for each in found])


def _training_told(training: Training) -> dict[str, Any]:
    return {
        "id": training.id,
        "project": training.project_uid,
        "status": training.state,
        "reason": training.reason,
        "progress": training.progress and training.progress.as_json(),
        "wishes": asdict(training.options),
        "outcome": training.outcome and asdict(training.outcome),
        "asked_at": _iso(training.created_at),
        "started_at": _iso(training.started_at),
        "finished_at": _iso(training.finished_at),
    }


@bp.get("/metrics")
def metrics() -> Response:
    """Figures for Prometheus."""
    figures = generate_latest(_backend().metrics.registry())
    return Response(figures, content_type=CONTENT_TYPE_LATEST)


@bp.get("/jobs/<int:task_id>")
def job(task_id: int) -> Response:
    """How it goes with a task: what was asked for last, and everything before."""
    project = request.args.get("project")
    found = PredictionStorage(_backend().database).of_task(min(task_id, LARGEST_ID), project)
    if not found:
        raise NotFound(
            f"expected a task that was asked about, got {task_id}"
            + (f" of project {project}" if project else "")
            + ": Label Studio has not asked for its prediction yet"
        )
    latest, *others = [_told(row) for row in found]
    return jsonify({**latest, "earlier": others})


def _told(row: Prediction) -> dict[str, Any]:
    delivery = row.delivery
    return {
        "task": row.task_id,
        "project": row.project_uid,
        "image": _without_secrets(row.image_url),
        "model_version": row.model_version,
        "status": row.status,
        "reason": row.reason,
        "attempts": row.attempts,
        "interactive": not row.to_deliver,
        "keypoints": len(row.detection.keypoints) if row.detection else None,
        "asked_at": _iso(row.asked_at),
        "started_at": _iso(row.started_at),
        "finished_at": _iso(row.finished_at),
        "delivery": delivery
        and {
            "number": delivery.number,
            "way": delivery.way,
            "made_at": _iso(delivery.made_at),
            "confirmed_at": _iso(delivery.confirmed_at),
            "label_studio_id": delivery.label_studio_id,
        },
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _without_secrets(url: str) -> str:
    """An image's address without password or signature; of an image in the address its type."""
    if url.lower().startswith("data:"):
        return url.partition(",")[0][:100]
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.netloc:  # a path of Label Studio, which asks for a token
        return url
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()
