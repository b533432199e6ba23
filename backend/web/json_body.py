"""The JSON in a request's body."""

import json
import math
from typing import Any, NoReturn

from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest

from backend.labelstudio.shapes import Json, ShapeError, ShapeT, describe, read
from backend.web.browser_requests import refuse_forms

# Annotations are nested about ten deep. Python gives up at about a thousand.
DEEPEST = 100


def json_object(*, odd_numbers: bool = False) -> Json:
    """Return the request's body as raw JSON.

    Args:
        odd_numbers: whether to keep NaN and infinities, which JSON does not allow, as text; else
            they are refused.

    Raises:
        BadRequest: the body is not a JSON object, or is nested too deep.
        UnsupportedMediaType: a form of another site may have sent it.
    """
    refuse_forms()
    raw = _body()
    try:
        body = (
            json.loads(raw, parse_constant=str, parse_float=_finite_or_text)
            if odd_numbers
            else json.loads(raw, parse_constant=_not_a_number, parse_float=_finite)
        )
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"expected JSON in the body, got {_start(raw)}: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest(f"expected a JSON object in the body, got {describe(body)}")
    if is_nested_deeper(body, DEEPEST):
        raise BadRequest(f"expected JSON nested at most {DEEPEST} deep, got it deeper")
    return body


def is_nested_deeper(value: dict[str, Any] | list[Any], limit: int) -> bool:
    """Return whether lists and objects in JSON stand in each other more than `limit` times."""
    level: list[dict[str, Any] | list[Any]] = [value]
    for _ in range(limit):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _body() -> bytes:
    """Return the body of the request.

    Raises:
        BadRequest: it does not come as announced.
    """
    try:
        return request.get_data()
    except (OSError, ValueError, ParseException) as error:
        raise BadRequest(f"expected a whole body, got none: {error}") from None


def parsed(shape: type[ShapeT], body: Json) -> ShapeT:
    """Return raw JSON as a typed value.

    Raises:
        BadRequest: a field is missing or malformed; the answer says which.
    """
    try:
        return read(shape, body)
    except ShapeError as error:
        raise BadRequest(str(error)) from None


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _not_a_number(digits)


def _finite_or_text(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(f"{name[:40]} is not a number that can be stored")


def _start(raw: bytes) -> str:
    return f"{len(raw)} bytes beginning with {raw[:40]!r}" if raw else "0 bytes"
