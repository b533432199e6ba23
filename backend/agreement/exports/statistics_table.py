"""All figures of agreement as one table, whatever figures there are.

The table is made from the JSON of `GET /agreement`: one row for each estimate with its interval,
for each plain number, flag and text, and for each time. Only the filters, the sentences made
from the figures, and the parameters, under `method`, are no figures.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

STATISTICS_COLUMNS: dict[str, type] = {
    "dimension": str,
    "name": str,
    "figure": str,
    "value": float,
    "low": float,
    "high": float,
    "n": int,
    "text": str,
}
NOT_FIGURES = ("filters", "not_reached_by_filters", "summary", "method", "made_at")
ESTIMATE = ("value", "low", "high", "n")
IDENTIFIERS = ("task", "annotator")  # numbers that name a member of a list
# Sections whose rows have another name, which readers of earlier tables know.
DIMENSIONS = {"landmarks": "landmark"}


def statistics_rows(statistics: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Yield every figure, in the order of `STATISTICS_COLUMNS`.

    `dimension` is the section, or for the sections of `by` what the figures are grouped by; `name`
    says which group, and `figure` is the path to the figure inside it.
    """
    for section, found in statistics.items():
        if section == "by":
            for dimension, groups in found.items():
                yield from _section(dimension, groups)
        elif section not in NOT_FIGURES:
            yield from _section(DIMENSIONS.get(section, section), found)


def _section(dimension: str, found: Any) -> Iterator[list[Any]]:
    if not _is_list(found):
        for path, values in _flat(found, ""):
            yield [dimension, "", path, *values]
        return
    for name, each in zip(_different_names(found), found, strict=True):
        for path, values in _flat(each, "", _names(each)):
            yield [dimension, name, path, *values]


def _flat(value: Any, path: str, skipped: Any = ()) -> Iterator[tuple[str, list[Any]]]:
    """Yield (path, [value, low, high, n, text]) of everything inside a value.

    Args:
        skipped: keys of `value` that are no figures, as the name holds them.
    """
    if isinstance(value, Mapping):
        rest = [name for name in value if name not in skipped]
        if "value" in value and "low" in value:
            yield path, [*(value.get(name) for name in ESTIMATE), None]
            rest = [name for name in rest if name not in ESTIMATE]
        for name in rest:
            yield from _flat(value[name], f"{path}.{name}" if path else name)
    elif _is_list(value):
        for name, each in zip(_different_names(value), value, strict=True):
            yield from _flat(each, f"{path}{name if name[0] == '@' else f'[{name}]'}", _names(each))
    elif isinstance(value, str):
        yield path, [None, None, None, None, value]
    elif isinstance(value, int | float):
        yield path, [float(value), None, None, None, None]


def _different_names(found: Sequence[Any]) -> list[str]:
    """Return a name for each member of a list; its place where the fields do not tell it apart."""
    names = [_name(each) for each in found]
    counted = Counter(names)
    return [
        name if name and counted[name] == 1 else f"{name} {place}".lstrip()
        for place, name in enumerate(names)
    ]


def _name(each: Any) -> str:
    names = _names(each)
    return f"@{names['alpha']:g}" if "alpha" in names else " / ".join(map(str, names.values()))


def _names(each: Any) -> dict[str, Any]:
    """Return the fields that tell a member of a list from the others."""
    if not isinstance(each, Mapping):
        return {}
    if isinstance(each.get("alpha"), int | float):  # of PCK; Krippendorff's is a figure
        return {"alpha": each["alpha"]}
    if "name" in each:
        return {"name": each["name"]}
    return {
        name: value
        for name, value in each.items()
        if name in IDENTIFIERS or (isinstance(value, str) and name != "method")
    }


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
