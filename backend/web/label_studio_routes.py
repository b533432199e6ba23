"""Label Studio's contract for ML backends. Thin: read, call one thing, answer."""

import logging

from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import BadRequest

from backend.labelstudio.label_config import LabelConfigError, keypoint_control, unserved_images
from backend.labelstudio.project_settings import ExtraParamsError
from backend.labelstudio.projects import Project
from backend.labelstudio.schemas import (
    PredictRequest,
    SetupRequest,
    WebhookEvent,
    without_token,
)
from backend.web.authentication import expect_secret_of
from backend.web.context import current_backend
from backend.web.json_body import json_object, parsed
from backend.web.reason_phrase import with_reason

logger = logging.getLogger(__name__)
bp = Blueprint("label_studio", __name__)

MODEL_CLASS = "KeypointDetector"
START_TRAINING = "START_TRAINING"


@bp.get("/health")
def health() -> Response:
    """Report that the backend is up; Label Studio waits one second for the answer."""
    version = current_backend().model_version
    return jsonify(status="UP", model_class=MODEL_CLASS, model_version=version)


@bp.get("/setup")
def model_version() -> Response:
    """Report the active model."""
    return jsonify(model_version=current_backend().model_version)


@bp.post("/setup")
def setup() -> Response:
    """Store a project's connection and settings, and report its active model."""
    backend, body = current_backend(), parsed(SetupRequest, json_object())
    label_config = body.label_config or ""
    backend.limits.admit_project(body.project)
    trust = backend.setup_trust
    kept = trust.kept(body.hostname, body.access_token) if body.hostname else None
    if kept:
        backend.projects.save_connection(
            body.project,
            hostname=kept.hostname,
            access_token=kept.access_token,
            label_config=label_config,
        )
    else:
        backend.projects.save_label_config(body.project, label_config)
    if body.has_extra_params:
        try:
            backend.accept_extra_params(body.project, body.extra_params)
        except ExtraParamsError as error:
            logger.warning("Project %s: %s", body.project, error)
            return _refused_setup(str(error))
    answer = {"model_version": backend.versions.current(body.project)}
    unserved: list[str] = []
    try:
        unserved = unserved_images(label_config)
    except LabelConfigError as error:
        logger.warning("Project %s: %s", body.project, error)
        answer["error"] = str(error)
    project = backend.projects.project(body.project)
    unnamed = body.hostname and trust.advice(body.hostname)
    advice = unnamed or (project and backend.cold_start.advice(project))
    if advice or unserved:
        answer["advice"] = "; ".join([*([advice] if advice else []), *unserved])
    return jsonify(answer)


def _refused_setup(reason: str) -> Response:
    """Return an answer with which Label Studio refuses to save the dialog, and shows why."""
    answer = jsonify(error=reason)
    answer.status_code = 400
    return with_reason(answer, reason)


@bp.get("/versions")
def versions() -> Response:
    """List the current versions: of the deployment's active model, and of every project."""
    backend = current_backend()
    current = map(backend.versions.current, backend.projects.project_uids())
    return jsonify(versions=list(dict.fromkeys([backend.models.active().version, *current])))


@bp.post("/predict")
def predict() -> Response:
    """Answer with the predictions that are ready, and `[]` for those that a worker delivers."""
    body, limits = parsed(PredictRequest, json_object()), current_backend().limits
    limits.admit_project(body.project)
    project = _project(body)
    try:
        control = keypoint_control(project.label_config or "")
    except LabelConfigError as error:
        logger.warning("Project %s: nothing can be predicted: %s", project.uid, error)
        return jsonify(results=[[] for _ in body.tasks], error=str(error))
    predictions, drawn = current_backend().predictions, body.context
    if drawn is None:
        limits.admit_tasks(project.uid, len(body.tasks))
        return jsonify(results=predictions.answer(project, control, body.tasks))
    answers = [predictions.answer_interactive(project, control, each, drawn) for each in body.tasks]
    return jsonify(results=answers)


def _project(body: PredictRequest) -> Project:
    """Return the project of a request, with the labelling configuration that the request brings.

    Raises:
        BadRequest: the request brings none, and the project is unknown.
    """
    projects = current_backend().projects
    if body.label_config is not None:
        projects.save_label_config(body.project, body.label_config)
    project = projects.project(body.project)
    if project is None:
        raise BadRequest(
            f"expected the labelling configuration in 'label_config', got nothing, and project "
            f"{body.project} is unknown: send it, or call /setup first"
        )
    return project


@bp.post("/webhook")
def webhook() -> Response:
    """Store an event as it came; Label Studio waits one second and never sends it again."""
    body = json_object(odd_numbers=True)
    event = parsed(WebhookEvent, body)
    project_id = event.project.id if event.project else None
    expect_secret_of(project_id)
    limits = current_backend().limits
    limits.admit_event(project_id)
    if event.action == START_TRAINING and event.project and event.project.uid:
        limits.admit_project(event.project.uid)
        limits.admit_training(event.project.uid)
    current_backend().events.save_event(event.action, project_id, without_token(body))
    current_backend().waker.wake()
    return _start_training(event) if event.action == START_TRAINING else jsonify({})


def _start_training(event: WebhookEvent) -> Response:
    project = event.project
    if project is None or project.uid is None or project.label_config is None:
        missing = "expected the project to train on, with id, created_at and label_config"
        logger.warning("START_TRAINING: %s", missing)
        return jsonify(error=missing)
    training = current_backend().trainings.request(project.uid, project.label_config)
    return jsonify(training=training.id)
