"""Routes of trainings, predictions and Prometheus figures. Thin: read, call one thing, answer."""

from dataclasses import asdict
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import BadRequest, NotFound

from backend.database.schema import LARGEST_ID
from backend.database.text import is_storable
from backend.outages.records import JobFilter
from backend.suggestions.records import Prediction
from backend.training.records import Training
from backend.web.context import current_backend
from backend.web.openapi import describe_api
from model.keypoint import Detection

bp = Blueprint("figures", __name__)

SHOWN_TRAININGS = 20


@bp.get("/ready")
def ready() -> tuple[Response, int]:
    """Tell whether requests can be answered; 503 with the reason if not."""
    found = current_backend().readiness.check()
    state = "READY" if found.is_ready else "NOT READY"
    answer = jsonify(status=state, problems=found.problems, warnings=found.warnings)
    return answer, 200 if found.is_ready else 503


@bp.get("/training")
def trainings() -> Response:
    """List the latest trainings, of one project or of all, newest first."""
    found = current_backend().trainings.latest(SHOWN_TRAININGS, _argument("project"))
    return jsonify(trainings=[_training_as_json(each) for each in found])


@bp.get("/metrics")
def metrics() -> Response:
    """Return figures for Prometheus."""
    figures = generate_latest(current_backend().metrics.registry())
    return Response(figures, content_type=CONTENT_TYPE_LATEST)


@bp.get("/openapi.json")
def openapi() -> Response:
    """Describe all routes in OpenAPI 3.1."""
    return jsonify(describe_api(current_app))


@bp.get("/jobs")
def jobs() -> Response:
    """List the work that is not done by reason, the services away and the events set aside.

    `?project=` takes a uid, `?reason=` a part of the reason.
    """
    backend = current_backend()
    wanted = JobFilter(_argument("project"), _argument("reason"))
    return jsonify(
        jobs=[
            {**asdict(each), "oldest": _iso(each.oldest)} for each in backend.work.counts(wanted)
        ],
        services_away=[
            {"service": each.service, "since": _iso(each.since), "reason": each.reason}
            for each in backend.work.away()
        ],
        events_set_aside=[
            {**asdict(each), "received_at": _iso(each.received_at)}
            for each in backend.set_aside.events()
        ],
    )


def _argument(name: str) -> str | None:
    """Return a parameter of the address; None if it is missing.

    Raises:
        BadRequest: no database could store the text.
    """
    value = request.args.get(name)
    if value is not None and not is_storable(value):
        raise BadRequest(f"expected text in {name!r}, got a character that cannot be stored")
    return value


@bp.get("/jobs/<int:task_id>")
def predictions_of_task(task_id: int) -> Response:
    """Return the latest prediction of a task, and the earlier ones."""
    project = _argument("project")
    stored = current_backend().stored_predictions
    found = stored.of_task(min(task_id, LARGEST_ID), project)
    if not found:
        raise NotFound(
            f"expected a task with a requested prediction, got {task_id}"
            + (f" of project {project}" if project else "")
            + ": Label Studio has not requested it yet"
        )
    latest, *earlier = [_prediction_as_json(row) for row in found]
    return jsonify({**latest, "earlier": earlier})


def _training_as_json(training: Training) -> dict[str, Any]:
    return {
        "id": training.id,
        "project": training.project_uid,
        "status": training.state,
        "reason": training.reason,
        "progress": training.progress and training.progress.as_json(),
        "options": asdict(training.options),
        "outcome": training.outcome and asdict(training.outcome),
        "asked_at": _iso(training.created_at),
        "started_at": _iso(training.started_at),
        "finished_at": _iso(training.finished_at),
    }


def _prediction_as_json(row: Prediction) -> dict[str, Any]:
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
        "keypoints": _keypoints(row.detection),
        "images": [
            {
                "name": each.to_name,
                "image": _without_secrets(each.image_url),
                "keypoints": _keypoints(each.detection),
                "reason": each.reason,
            }
            for each in row.images
        ],
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


def _keypoints(detection: Detection | None) -> int | None:
    return len(detection.keypoints) if detection else None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _without_secrets(url: str) -> str:
    """Return an image's address without password or signature; of a data URL only its type."""
    if url.lower().startswith("data:"):
        return url.partition(",")[0][:100]
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.netloc:  # a path on Label Studio, which asks for a token
        return url
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()
