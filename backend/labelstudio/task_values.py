"""Values in a task's data that a labelling configuration names, such as `$pages[0].url`.

They are read as Label Studio's front end reads them (its `parseValue`, which uses lodash's `get`).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from backend.labelstudio.shapes import Json

_PATH = re.compile(r"(?!\d)\w+(?:\.\w+|\[\w+\])*")
_STEP = re.compile(r"\w+")


def path_of(value: str) -> str | None:
    """Return the path in an attribute such as `value="$meta.image"`; None if it has none."""
    return value[1:] if value.startswith("$") and _PATH.fullmatch(value[1:]) else None


def value_at(data: Mapping[str, Any], path: str) -> Any:
    """Return what a path leads to; None if it leads nowhere.

    A key that is spelt like the whole path comes first.
    """
    if path in data:
        return data[path]
    found: Any = data
    for step in _STEP.findall(path):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isascii() and step.isdigit():
            found = found[int(step)] if int(step) < len(found) else None
        else:
            return None
    return found


def data_with(path: str, value: object, data: Json | None = None) -> Json:
    """Return the data of a task in which a path leads to a value.

    Args:
        data: other values that it has; None for none.
    """
    found = _with(data, _STEP.findall(path), value)
    assert isinstance(found, dict), "the first step of a path is a key"
    return found


def _with(around: Any, steps: Sequence[str], value: object) -> Any:
    """Return a copy of an object or a list in which some steps lead to a value."""
    if not steps:
        return value
    step, *rest = steps
    if not (step.isascii() and step.isdigit()):
        known = dict(around) if isinstance(around, Mapping) else {}
        return known | {step: _with(known.get(step), rest, value)}
    items, place = list(around) if isinstance(around, list) else [], int(step)
    items += [None] * (place + 1 - len(items))
    items[place] = _with(items[place], rest, value)
    return items
