"""The options that select annotations, for `report` and `export`."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from backend.agreement.filters import NAMES, FilterError, filters_from

HELP = {
    "project": "Only this project: its number in Label Studio.",
    "label": "Only keypoints with this label.",
    "annotator": "Only this annotator: the user's number in Label Studio.",
    "model_version": "Only suggestions of this model version.",
    "since": "Only annotations from this day or moment on, such as 2026-11-22.",
    "until": "Only annotations up to this day or moment.",
}


def filter_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add an option for each filter; the command receives them together as `filters`."""

    @wraps(command)
    def with_filters(**values: Any) -> int:
        given = {name: values.pop(name) for name in NAMES}
        try:
            filters = filters_from(given)
        except FilterError as error:
            raise click.UsageError(str(error)) from None
        return command(filters=filters, **values)

    decorated: Callable[..., int] = with_filters
    for name in reversed(NAMES):
        decorated = click.option(f"--{name.replace('_', '-')}", help=HELP[name])(decorated)
    return decorated
