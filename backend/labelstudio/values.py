"""Values in Label Studio's JSON."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from backend.database.schema import LARGEST_ID


def listed(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def whole_number(value: object) -> int | None:
    """A whole number that every database takes, else None."""
    usable = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_ID
    return value if usable and isinstance(value, int) else None


def user_id(value: object) -> object:
    """Some versions of Label Studio's API give the whole user, not the id alone."""
    return value.get("id") if isinstance(value, Mapping) else value


def seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def moment_of(value: object) -> datetime | None:
    """An ISO time; without a time zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
