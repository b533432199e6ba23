"""Labels and choices that a task's own data lists, kept with its prediction.

A configuration names them by `value="$labels"`; a prediction may be sent long after it was asked
for, when only what was kept of its task is at hand.
"""

from collections.abc import Mapping
from typing import Any

from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.shapes import Json
from backend.labelstudio.task_values import value_at

# Field of `Prediction.task`: {path in the task's data: what it leads to}.
LISTED = "listed"


def listed_for(control: KeypointControl, data: Mapping[str, Any]) -> Json:
    """Return what the data of a task lists for a control, by its path in the data."""
    found = {path: value_at(data, path) for path in control.data_paths}
    return {path: value for path, value in found.items() if value is not None}


def control_in_task(control: KeypointControl, task: Mapping[str, Any]) -> KeypointControl:
    """Return a control as it is in a task.

    Args:
        task: what a prediction keeps of it; see `Prediction.task`.
    """
    return control.with_data(task.get(LISTED, {})) if control.data_paths else control


def has_box(task: Mapping[str, Any]) -> bool:
    """Return whether what a prediction keeps of a task says where on the image to look."""
    return any(name != LISTED for name in task)
