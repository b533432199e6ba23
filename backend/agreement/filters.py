"""Parse filters as people write them, in a web address or on the command line."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from backend.database.schema import LARGEST_ID
from backend.database.text import is_storable
from backend.verdicts.records import Filters

NAMES = ("project", "label", "annotator", "model_version", "since", "until")


class FilterError(ValueError):
    """An unknown or malformed filter; the message says what was expected."""


def filters_from(given: Mapping[str, str | None]) -> Filters:
    """Parse filters by name; one that is missing or None does not filter.

    Raises:
        FilterError: an unknown name, or a malformed value.
    """
    unknown = sorted(set(given) - set(NAMES))
    if unknown:
        raise FilterError(f"expected filters among {', '.join(NAMES)}, got {unknown[0]!r}")
    values = {name: value for name, value in given.items() if value is not None}
    for name, value in values.items():
        if not value.strip() or not is_storable(value):
            raise FilterError(f"expected a value for {name}, got {value!r}: leave it out")
    since, until = values.get("since"), values.get("until")
    filters = Filters(
        project=_project(values.get("project")),
        label=values.get("label"),
        annotator=_annotator(values.get("annotator")),
        model_version=values.get("model_version"),
        since=_moment("since", since) if since else None,
        until=_moment("until", until, end=True) if until else None,
    )
    if filters.since and filters.until and filters.since >= filters.until:
        raise FilterError(f"expected since before until, got since={since} and until={until}")
    return filters


def _project(value: str | None) -> str | None:
    if value is None:
        return None
    number, _, created = value.strip().partition(".")
    if not _is_number(number) or (created and not _is_number(created)):
        raise FilterError(
            f"expected project to be its number in Label Studio, such as 3, got {value!r}"
        )
    return value.strip()


def _annotator(value: str | None) -> int | None:
    if value is None:
        return None
    if not _is_number(value.strip()) or int(value) > LARGEST_ID:
        raise FilterError(
            f"expected annotator to be a user's number in Label Studio, such as 1, got {value!r}"
        )
    return int(value)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _moment(name: str, value: str, *, end: bool = False) -> datetime:
    """Parse a time; without a zone it is in UTC.

    Args:
        end: whether a day without a time of day is included, so that the next day's start is meant.
    """
    text = value.strip()
    try:
        if len(text) <= 10:
            day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
            return datetime.combine(day, time(), UTC)
        # In a web address the "+" of a time zone arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise FilterError(
            f"expected {name} to be a day or a moment, such as 2026-11-22 or "
            f"2026-11-22T12:00:00Z, got {value!r}"
        ) from None
