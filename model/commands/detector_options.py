"""Command-line options for every setting of the detector, generated from `DetectorSettings`."""

from collections.abc import Callable
from dataclasses import Field, fields, replace
from functools import wraps
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from model.settings import PRESETS, DetectorSettings

# Stands for a given "none", because click passes None for an option that is not given.
_GIVEN_NONE = object()


def detector_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add `--preset` and an option for each setting, which replaces the preset's value.

    The command receives the result as `settings`. Its call raises ValueError if a value is out of
    range.
    """

    @wraps(command)
    def with_settings(*, preset: str, **values: Any) -> int:
        given = {field.name: values.pop(field.name) for field in fields(DetectorSettings)}
        changes: dict[str, Any] = {
            name: None if value is _GIVEN_NONE else value
            for name, value in given.items()
            if value is not None
        }
        return command(settings=replace(PRESETS[preset], **changes), **values)

    decorated: Callable[..., int] = with_settings
    hints = get_type_hints(DetectorSettings)
    for field in reversed(fields(DetectorSettings)):
        decorated = _option(field, hints[field.name])(decorated)
    return click.option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        default="default",
        show_default=True,
        help="Settings to start from; each of the options below replaces one of them.",
    )(decorated)


def _option(field: Field[Any], hint: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return the option for one setting, of the type of its field."""
    name = field.name.replace("_", "-")
    values = ", ".join(f"{key} {getattr(preset, field.name)}" for key, preset in PRESETS.items())
    meaning = field.metadata.get("help")
    text = f"{meaning} ({values})" if meaning else f"({values})"
    if hint is bool:
        return click.option(f"--{name}/--no-{name}", default=None, help=text)
    if get_origin(hint) is Literal:
        return click.option(f"--{name}", type=click.Choice(get_args(hint)), help=text)
    if NoneType in get_args(hint):
        return click.option(f"--{name}", type=_int_or_none, metavar="N|none", help=text)
    return click.option(f"--{name}", type=hint, help=text)


def _int_or_none(text: str) -> int | object:
    if text.lower() == "none":
        return _GIVEN_NONE
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"expected a whole number or none, got {text!r}") from None
