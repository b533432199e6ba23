"""Export tasks with their predictions and annotations as JSON that Label Studio imports.

A prediction is what Label Studio was sent. An annotation has the regions that Label Studio sent,
where an event brought it. Otherwise, and where the export is of one label alone, its points and its
class are written anew from the verdict log; other regions are left out then.

Numbers of users and tasks differ from one Label Studio to the next, and it refuses users that it
does not know. So they stand in the task's `meta`, in the order of the annotations.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from backend.agreement.exports.content import ExportContent, iso_time
from backend.agreement.exports.queries import ExportQueries
from backend.agreement.exports.records import ExportedAnnotation, ExportedTask, TaskPrediction
from backend.labelstudio.class_controls import ClassControl, ClassPath, paths_of_text
from backend.labelstudio.label_config import (
    EXAMPLE,
    KeypointControl,
    LabelConfigError,
    keypoint_control,
)
from backend.labelstudio.regions import keypoint_regions
from backend.labelstudio.skeletons import Skeleton, joined
from backend.labelstudio.task_values import data_with
from backend.suggestions.listed import LISTED
from model.keypoint import Keypoint

# For projects whose configuration is unknown, or has no control for keypoints any more.
DEFAULT = keypoint_control(
    f'<View><Image name="image" value="$image"/>{EXAMPLE.format(image="image")}</View>'
)


def write(content: ExportContent) -> Iterator[bytes]:
    """Yield an array of tasks, a task a line."""
    stream = content.annotations()
    controls = _controls(stream.label_configs)
    queries = ExportQueries(content.database)
    start = b"["
    for portion in stream.portions(with_regions=True):
        predictions = queries.predictions_of((each.project_uid, each.task_id) for each in portion)
        for task in portion:
            if not task.annotations:
                continue
            control = controls.get(task.project_uid, DEFAULT)
            of_task = predictions.get((task.project_uid, task.task_id), [])
            found = _task(task, of_task, control, anew=content.filters.label is not None)
            yield start + b"\n" + json.dumps(found, ensure_ascii=False).encode()
            start = b","
    yield b"[]\n" if start == b"[" else b"\n]\n"


def _controls(label_configs: dict[str, str]) -> dict[str, KeypointControl]:
    """Return the control for keypoints of each project that has one."""
    found = {}
    for uid, config in label_configs.items():
        try:
            found[uid] = keypoint_control(config)
        except LabelConfigError:
            continue  # `DEFAULT` takes its place
    return found


def _task(
    task: ExportedTask,
    predictions: Sequence[TaskPrediction],
    control: KeypointControl,
    *,
    anew: bool,
) -> dict[str, Any]:
    data = data_with(control.image_path, task.annotations[0].image_url)
    for each in predictions:
        kept = each.task.get("data")
        data |= kept if isinstance(kept, dict) else {}
        data |= each.task.get(LISTED, {})
    return {
        "data": data,
        "meta": {
            "project": task.project_uid,
            "task": task.task_id,
            "annotators": [each.annotator for each in task.annotations],
            "sources": [each.origin for each in task.annotations],
            "left_out": task.left_out,
        },
        "predictions": [each.sent for each in predictions],
        "annotations": [_annotation(each, control, anew=anew) for each in task.annotations],
    }


def _annotation(
    annotation: ExportedAnnotation, control: KeypointControl, *, anew: bool
) -> dict[str, Any]:
    result = annotation.result
    if result is None or anew:
        result = list(_regions(annotation, control))
    return {
        "result": result,
        "was_cancelled": False,
        "ground_truth": False,
        "lead_time": annotation.lead_time,
        "updated_at": iso_time(annotation.updated_at),
    }


def _regions(annotation: ExportedAnnotation, control: KeypointControl) -> Iterator[dict[str, Any]]:
    """Yield the regions of an annotation's points and of its class."""
    points = _points(annotation, control)
    yield from _skeletons(points, control.skeleton) if control.skeleton else points
    if annotation.choice is not None and control.choices is not None:
        yield {
            "id": "class",
            "from_name": control.choices.from_name,
            "to_name": control.choices.to_name,
            "type": control.choices.kind,
            "value": control.choices.value(_paths(annotation.choice, control.choices)),
        }


def _points(annotation: ExportedAnnotation, control: KeypointControl) -> Iterator[dict[str, Any]]:
    size = (round(annotation.width), round(annotation.height))
    for place, each in enumerate(annotation.points):
        point = Keypoint(each.x, each.y, 1.0, each.label)
        region_id = each.region_id or f"point{place}"
        if control.skeleton and each.label not in control.labels:
            continue
        for region in keypoint_regions(point, size, control, region_id, each.label):
            del region["score"]  # a suggestion has one, an annotator's point has none
            yield region


def _skeletons(points: Iterable[dict[str, Any]], skeleton: Skeleton) -> Iterator[dict[str, Any]]:
    """Yield a region for the points of each one that the annotator left."""
    found = [{**each, "parentID": each["id"].partition("/")[0]} for each in points]
    ids = list(dict.fromkeys(each["parentID"] for each in found))
    for region in joined(found, ids, skeleton, skeleton.label()):
        del region["parentID"]  # the rectangle around it is left out
        yield region


def _paths(choice: str, control: ClassControl) -> list[ClassPath]:
    """Return the paths of a choice; one that the configuration has is never taken apart."""
    known = control.path(choice)
    return paths_of_text(choice) if known is None else [known]
