"""Routes of the agreement report, its figures as JSON, and the exports."""

import secrets
from dataclasses import dataclass, fields

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import BadRequest

from backend.agreement.exports.content import ExportOptions
from backend.agreement.exports.formats import ExportError, export
from backend.agreement.filters import NAMES, FilterError, filters_from
from backend.agreement.report_cache import ReportCache
from backend.database.connection import Database
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters
from backend.web.pages import page, prefers_pages

bp = Blueprint("agreement", __name__, template_folder="templates")
AGREEMENT = "agreement"


@dataclass(frozen=True)
class Agreement:
    """The services behind these routes; stored as `app.extensions["agreement"]`."""

    settings: Settings
    database: Database
    recorder: Recorder
    cache: ReportCache


def agreement_of(settings: Settings, database: Database) -> Agreement:
    """Assemble the services behind the routes of the report."""
    return Agreement(
        settings, database, Recorder(settings, database), ReportCache(settings, database)
    )


def _agreement() -> Agreement:
    """Return the services, after recording all stored events so that they count."""
    found: Agreement = current_app.extensions[AGREEMENT]
    found.recorder.drain()
    return found


@bp.get("/agreement")
def agreement() -> Response:
    """Return all figures as JSON."""
    return Response(_agreement().cache.text(_filters()), content_type="application/json")


@bp.get("/report")
def report() -> Response:
    """Return the report: one page that needs no network."""
    filters, nonce = _filters(), secrets.token_urlsafe(16)
    return page(_agreement().cache.page(filters, nonce), nonce)


@bp.get("/export")
def download() -> Response:
    """Stream an export; `format` is a name in `FORMATS`, `what` one of its kinds.

    The fields of `ExportOptions` are parameters too, with the value 1. What a person downloads in a
    browser is opened in a spreadsheet, so there `excel` is 1 unless the address says 0.
    """
    names = [each.name for each in fields(ExportOptions)]
    filters = _filters("format", "what", *names)
    by_person = prefers_pages() and request.args.get("format") == "csv"
    defaults = {"excel": "1" if by_person else "0"}
    options = ExportOptions(**{name: _flag(name, defaults.get(name, "0")) for name in names})
    found = _agreement()
    try:
        made = export(
            found.database,
            request.args.get("format", ""),
            request.args.get("what"),
            filters,
            lambda: found.cache.figures(filters).as_json(),
            options,
        )
    except ExportError as error:
        raise BadRequest(str(error)) from None
    answer = Response(made.pieces, content_type=made.content_type)
    answer.headers["Content-Disposition"] = f'attachment; filename="{made.name}"'
    return answer


def _flag(name: str, default: str) -> bool:
    """Return whether a parameter is 1 rather than 0."""
    value = request.args.get(name, default)
    if value not in ("0", "1"):
        raise BadRequest(f"expected 1 or 0 for {name}, got {value!r}")
    return value == "1"


def _filters(*others: str) -> Filters:
    """Return the filters of the request.

    Args:
        others: names of parameters that are not filters.

    Raises:
        BadRequest: one is unknown, repeated or malformed.
    """
    given: dict[str, str] = {}
    for name, values in request.args.lists():
        if len(values) > 1:
            raise BadRequest(f"expected {name!r} once, got it {len(values)} times")
        if name in NAMES or name not in others:
            given[name] = values[0]
    try:
        return filters_from(given)
    except FilterError as error:
        raise BadRequest(str(error)) from None
