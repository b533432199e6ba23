"""Label Studio's contract for ML backends. Thin: read, call one thing, answer."""

import logging

from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import BadRequest

from backend.contract.service import NoLabelConfig
from backend.labelstudio.project_settings import ExtraParamsError
from backend.labelstudio.schemas import PredictRequest, SetupRequest, WebhookEvent
from backend.web.authentication import expect_secret_of
from backend.web.context import current_backend
from backend.web.json_body import json_object, parsed
from backend.web.reason_phrase import with_reason

logger = logging.getLogger(__name__)
bp = Blueprint("label_studio", __name__)

MODEL_CLASS = "KeypointDetector"


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
    body = parsed(SetupRequest, json_object())
    try:
        return jsonify(current_backend().contract.set_up(body).as_json())
    except ExtraParamsError as error:
        logger.warning("Project %s: %s", body.project, error)
        return _refused_setup(str(error))


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
    body = parsed(PredictRequest, json_object())
    try:
        return jsonify(current_backend().contract.predict(body).as_json())
    except NoLabelConfig as error:
        raise BadRequest(str(error)) from None


@bp.post("/webhook")
def webhook() -> Response:
    """Store an event as it came; Label Studio waits one second and never sends it again."""
    body = json_object(odd_numbers=True)
    event = parsed(WebhookEvent, body)
    expect_secret_of(event.project.id if event.project else None)
    return jsonify(current_backend().contract.take_event(event, body))
