"""The options that select annotations, for `report` and `export`."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from backend.agreement.filters import NAMES, FilterError, filters_from

# Name of a filter → the type of its value, and its help.
HELP = {
    "project": ("ID", "Only this project: its number in Label Studio."),
    "label": ("NAME", "Only keypoints with this label."),
    "annotator": ("ID", "Only this annotator: the user's number in Label Studio."),
    "model_version": ("VERSION", "Only suggestions of this model version."),
    "since": ("TIME", "Only annotations from this day or moment on, such as 2026-11-22."),
    "until": ("TIME", "Only annotations up to this day or moment."),
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
        metavar, text = HELP[name]
        option = f"--{name.replace('_', '-')}"
        decorated = click.option(option, metavar=metavar, help=text)(decorated)
    return decorated
