"""What callers send, looked at before anything is done with it."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

from flask import request
from werkzeug.exceptions import BadRequest

from backend.database.schema import LARGEST_ID
from backend.database.text import is_storable
from backend.labelstudio.projects import uid_of

# As wide as the database's columns.
LONGEST_UID = 100
LONGEST_ACTION = 100


def json_object(*, odd_numbers: bool = False) -> dict[str, Any]:
    """The request's body.

    Args:
        odd_numbers: take NaN and infinity, which are no JSON, as texts; else refuse them.

    Raises:
        BadRequest: it is not a JSON object.
    """
    raw = request.get_data()
    try:
        body = (
            json.loads(raw, parse_constant=str, parse_float=_finite_or_text)
            if odd_numbers
            else json.loads(raw, parse_constant=_no_number, parse_float=_finite)
        )
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"expected JSON in the body, got {_start(raw)}: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest(f"expected a JSON object in the body, got {_kind(body)}")
    return body


def project_uid(body: Mapping[str, Any]) -> str:
    """The project as Label Studio names it to backends, `id.created_ts`.

    Raises:
        BadRequest: there is none.
    """
    value = body.get("project")
    uid = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(uid, str) or not 0 < len(uid) <= LONGEST_UID or not uid.isprintable():
        _refuse("project", "text such as 3.1795347724, id and time of creation", body)
    return uid


def text(body: Mapping[str, Any], name: str) -> str | None:
    """A text that may be missing.

    Raises:
        BadRequest: it is something else.
    """
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not is_storable(value):
        _refuse(name, "text", body)
    return value


def web_address(body: Mapping[str, Any], name: str) -> str | None:
    """An address that may be missing.

    Raises:
        BadRequest: it is something else.
    """
    value = text(body, name)
    if not value:
        return None
    try:
        right = urlsplit(value).scheme in ("http", "https") and bool(urlsplit(value).hostname)
    except ValueError:
        right = False
    if not right:
        _refuse(name, "an address such as http://localhost:8080", body)
    return value


def tasks(body: Mapping[str, Any]) -> list[object]:
    """The tasks, whatever each of them is.

    Raises:
        BadRequest: there is no list of them.
    """
    value = body.get("tasks")
    if not isinstance(value, list):
        _refuse("tasks", "a list of tasks", body)
    return value


def context(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What an annotator is drawing; None for an ordinary request."""
    parameters = body.get("params")
    found = parameters.get("context") if isinstance(parameters, dict) else None
    return found if isinstance(found, dict) else None


def action(body: Mapping[str, Any]) -> str:
    """What a webhook tells of.

    Raises:
        BadRequest: it does not say.
    """
    value = body.get("action")
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= LONGEST_ACTION
        or not value.isprintable()
    ):
        _refuse("action", "text such as ANNOTATION_CREATED", body)
    return value


def project_id(body: Mapping[str, Any]) -> int | None:
    """Of the project that a webhook tells of, where it says so."""
    project = body.get("project")
    value = project.get("id") if isinstance(project, dict) else None
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_ID
    return value if whole else None


def project_of_event(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Of the project that a webhook tells of: its name to backends, its labelling configuration.

    Returns:
        None where it does not say.
    """
    project = body.get("project")
    uid = uid_of(project)
    label_config = project.get("label_config") if isinstance(project, dict) else None
    if uid is None or not isinstance(label_config, str) or not is_storable(label_config):
        return None
    return uid, label_config


def without_token(body: Mapping[str, Any]) -> dict[str, Any]:
    """A webhook's body without the project's token, which lets others join the organization."""
    project = body.get("project")
    if not isinstance(project, dict):
        return dict(body)
    kept = {name: value for name, value in project.items() if name != "token"}
    return {**body, "project": kept}


def _refuse(name: str, expected: str, body: Mapping[str, Any]) -> NoReturn:
    got = _kind(body[name]) if name in body else "nothing"
    raise BadRequest(f"expected {expected} in {name!r}, got {got}")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


def _finite_or_text(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name[:40]} is no number that can be kept")


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
    if type(value) in kinds:
        return kinds[type(value)]
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


def _start(raw: bytes) -> str:
    return f"{len(raw)} bytes beginning with {raw[:40]!r}" if raw else "0 bytes"
