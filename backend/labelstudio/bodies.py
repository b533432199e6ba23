"""The JSON in the body of a request."""

import json
import math
from typing import Any, NoReturn

from backend.labelstudio.shapes import Json, describe

# Annotations are nested about ten deep. Python gives up at about a thousand.
DEEPEST = 100


class BodyError(ValueError):
    """The body holds no JSON object that can be stored; the message says what came."""


def read_object(raw: bytes, *, odd_numbers: bool = False) -> Json:
    """Return the JSON object in a body, raw.

    Args:
        odd_numbers: whether to keep NaN and infinities, which JSON does not allow, as text; else
            they are refused.

    Raises:
        BodyError: the body is not a JSON object, or is nested too deep.
    """
    try:
        body = (
            json.loads(raw, parse_constant=str, parse_float=_finite_or_text)
            if odd_numbers
            else json.loads(raw, parse_constant=_not_a_number, parse_float=_finite)
        )
    except (ValueError, RecursionError) as error:
        raise BodyError(f"expected JSON in the body, got {_start(raw)}: {error}") from None
    if not isinstance(body, dict):
        raise BodyError(f"expected a JSON object in the body, got {describe(body)}")
    if _is_nested_deeper(body, DEEPEST):
        raise BodyError(f"expected JSON nested at most {DEEPEST} deep, got it deeper")
    return body


def _is_nested_deeper(value: dict[str, Any] | list[Any], limit: int) -> bool:
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
