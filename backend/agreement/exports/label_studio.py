"""Export tasks with their predictions and annotations as JSON that Label Studio imports.

A prediction is what Label Studio was sent. An annotation has the regions that Label Studio sent,
where an event brought it. Otherwise, and where the export is of one label alone, its points and its
class are written anew from the verdict log; other regions are left out then.

Numbers of users and tasks differ from one Label Studio to the next, and it refuses users that it
does not know. So they stand in the task's `meta`, in the order of the annotations.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
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
from backend.labelstudio.shapes import Json
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
        for key, of_images in groupby(portion, lambda each: (each.project_uid, each.task_id)):
            images = [each for each in of_images if each.annotations]
            if not images:
                continue
            control = controls.get(key[0], DEFAULT)
            of_task = predictions.get(key, [])
            found = _task(images, of_task, control, anew=content.filters.label is not None)
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
    images: Sequence[ExportedTask],
    predictions: Sequence[TaskPrediction],
    control: KeypointControl,
    *,
    anew: bool,
) -> dict[str, Any]:
    """Return a task, given the annotations of each of its images."""
    data: Json = {}
    for task in images:
        path = _control_on(task.annotations[0], control).image_path
        data = data_with(path, task.annotations[0].image_url, data)
    for each in predictions:
        kept = each.task.get("data")
        data |= kept if isinstance(kept, dict) else {}
        data |= each.task.get(LISTED, {})
    annotations: dict[tuple[int, datetime], list[ExportedAnnotation]] = {}
    for part in (annotation for task in images for annotation in task.annotations):
        annotations.setdefault((part.annotation_id, part.updated_at), []).append(part)
    first = [parts[0] for parts in annotations.values()]
    return {
        "data": data,
        "meta": {
            "project": images[0].project_uid,
            "task": images[0].task_id,
            "annotators": [each.annotator for each in first],
            "sources": [each.origin for each in first],
            "left_out": max(each.left_out for each in images),
        },
        "predictions": [each.sent for each in predictions],
        "annotations": [_annotation(parts, control, anew=anew) for parts in annotations.values()],
    }


def _control_on(annotation: ExportedAnnotation, control: KeypointControl) -> KeypointControl:
    """Return the control on the image of an annotation; the first if it is no longer there."""
    of_images = control.of_images
    numbered = of_images[min(annotation.image_number, len(of_images) - 1)]
    return (annotation.to_name and control.on(annotation.to_name)) or numbered


def _annotation(
    parts: Sequence[ExportedAnnotation], control: KeypointControl, *, anew: bool
) -> dict[str, Any]:
    """Return an annotation, given its parts on the images of its task."""
    first = parts[0]
    result = first.result
    if result is None or anew:
        result = [region for each in parts for region in _regions(each, _control_on(each, control))]
    return {
        "result": result,
        "was_cancelled": False,
        "ground_truth": False,
        "lead_time": first.lead_time,
        "updated_at": iso_time(first.updated_at),
    }


def _regions(annotation: ExportedAnnotation, control: KeypointControl) -> Iterator[dict[str, Any]]:
    """Yield the regions of an annotation's points and of its class."""
    points = _points(annotation, control)
    yield from _skeletons(points, control.skeleton) if control.skeleton else points
    if annotation.choice is not None and control.choices is not None:
        yield {
            "id": f"class{_suffix(annotation)}",
            "from_name": control.choices.from_name,
            "to_name": control.choices.to_name,
            "type": control.choices.kind,
            "value": control.choices.value(_paths(annotation.choice, control.choices)),
        }


def _suffix(annotation: ExportedAnnotation) -> str:
    """Return what makes ids that are made up differ between the images of a task."""
    return f"-{annotation.image_number}" if annotation.image_number else ""


def _points(annotation: ExportedAnnotation, control: KeypointControl) -> Iterator[dict[str, Any]]:
    size = (round(annotation.width), round(annotation.height))
    for place, each in enumerate(annotation.points):
        point = Keypoint(each.x, each.y, 1.0, each.label)
        region_id = each.region_id or f"point{place}{_suffix(annotation)}"
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
