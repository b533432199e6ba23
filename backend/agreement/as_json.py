"""Typed figures as plain JSON values."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class HasJson(Protocol):
    """A figure whose JSON differs from its fields."""

    def as_json(self) -> dict[str, Any]:
        """Return the figure as a JSON object."""


def to_json(value: object) -> Any:
    """Return dataclasses as objects in the order of their fields, sequences as arrays.

    A dataclass with a method `as_json` defines its own JSON.
    """
    if value is None or isinstance(value, str | int | float):
        return value  # first, because most values are plain
    if isinstance(value, HasJson):
        return value.as_json()
    if is_dataclass(value):
        return fields_as_json(value)
    if isinstance(value, Mapping):
        return {name: to_json(each) for name, each in value.items()}
    if isinstance(value, Sequence):
        return [to_json(each) for each in value]
    return value


def fields_as_json(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as a JSON object."""
    return {each.name: to_json(getattr(value, each.name)) for each in fields(value)}
