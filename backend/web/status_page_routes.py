"""Routes of the status page: the page, its script, the status as JSON, and its button."""

import secrets
from dataclasses import asdict
from pathlib import Path

from flask import Blueprint, Response, jsonify, render_template, request
from werkzeug.exceptions import BadRequest

from backend.agreement.exports.formats import FORMATS
from backend.database.text import is_storable
from backend.labelstudio.projects import project_id_of
from backend.outages.records import JobFilter
from backend.suggestions.queue import NAME
from backend.training.registry import Model
from backend.web.context import ProjectState, current_backend
from backend.web.pages import page, prefers_pages
from backend.web.status import Status
from backend.web.wording import say_age, say_count, say_duration

bp = Blueprint("status", __name__)

SHOWN_REASONS = 20
SCRIPT = Path(__file__).parent / "static" / "status.js"
QUEUE_NAMES = {
    "interactive": "Annotators who are drawing",
    "corrections": "Corrected images to learn",
    "opened": "Suggestions for opened tasks",
    "predictions": "Suggestions to make",
    "deliveries": "Suggestions to deliver",
    "trainings": "Trainings",
}


@bp.get("/")
def index() -> Response:
    """Show the status page to a browser, or return the projects as JSON to a program."""
    backend = current_backend()
    model, projects = backend.models.active_or_last_known(), backend.project_states()
    if prefers_pages():
        nonce = secrets.token_urlsafe(16)
        return page(_page(backend.status.status(), model, projects, nonce), nonce)
    return jsonify(
        status="UP",
        model_version=model.version,
        has_weights=model.has_weights,
        report="/report",
        projects=[asdict(each) for each in projects],
    )


@bp.get("/status")
def status() -> Response:
    """Return what the status page shows as JSON."""
    return jsonify(current_backend().status.status().as_json())


@bp.get("/status.js")
def script() -> Response:
    """Return the script that keeps the status page fresh."""
    answer = Response(SCRIPT.read_bytes(), content_type="text/javascript; charset=utf-8")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@bp.post("/jobs/retry")
def retry() -> Response:
    """Try again what waits, failed or was given up; `project` and `reason` select."""
    backend = current_backend()
    count = backend.work.retry(JobFilter(_field("project"), _field("reason")))
    backend.status.forget()
    if not prefers_pages():
        return jsonify(tried_again=count)
    return Response(status=303, headers={"Location": f"../?retried={count}"})


def _field(name: str) -> str | None:
    """Return a field of the form; None if it is empty or missing.

    Raises:
        BadRequest: no database could store the text.
    """
    value = request.form.get(name, "")
    if not is_storable(value):
        raise BadRequest(f"expected text in {name!r}, got a character that cannot be stored")
    return value or None


def _page(status: Status, model: Model, projects: list[ProjectState], nonce: str) -> str:
    retried = request.args.get("retried", "")
    return render_template(
        "index.html",
        status=status,
        model=model,
        projects=projects,
        formats=FORMATS,
        detecting=[each for each in status.workers or () if NAME in each.queues],
        retried=int(retried) if retried.isdecimal() and len(retried) < 10 else None,
        queue_names=QUEUE_NAMES,
        shown_reasons=SHOWN_REASONS,
        nonce=nonce,
        count=say_count,
        duration=say_duration,
        age=lambda since: say_age(since, status.made_at),
        number_of=project_id_of,
        webhook=lambda project: _say_webhook(status, project.project),
    )


def _say_webhook(status: Status, project_uid: str) -> str:
    """Say what is known of a project's webhook."""
    found = status.webhooks.get(project_uid)
    last = found.last_event_at if found else None
    said = f"last event {say_age(last, status.made_at)} ago" if last else "no event lately"
    if found is None:
        return said
    if found.problem is not None:
        return f"{said}; it {found.problem}"
    if found.pulled:
        return f"{said}; {found.loss()}"
    if found.failed_pull is not None:
        age = say_age(found.failed_pull.started_at, status.made_at)
        return f"{said}; pull {age} ago failed: {found.failed_pull.problem}"
    return said
