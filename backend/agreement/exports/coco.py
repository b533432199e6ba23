"""Export the submitted annotations as COCO keypoints.

There is one image entry per annotation, so that several annotators of an image do not mix; with
`one_per_image` one per task. `instances` says what an instance is and which slot a point takes.
Coordinates are COCO's: (0, 0) is the top left corner of the image, and (0.5, 0.5) the centre of
its first pixel.

`v` is 1 where a choice about the point says "hidden" or "occluded", or its region is marked as
hidden, else 2. The log keeps the choice of the project's control for visibility. Everything else is
read from the event that brought the annotation, which one that only a pull brought does not have.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from backend.agreement.exports.content import ExportContent, iso_time
from backend.agreement.exports.file_names import file_name
from backend.agreement.exports.instances import Instance, Survey, instances_of, slots
from backend.agreement.exports.records import ExportedAnnotation
from backend.verdicts.judging import SIGMA
from model.keypoint import centre_to_edge

OBJECTS_PER_PIECE = 1000


def write(content: ExportContent) -> Iterator[bytes]:
    """Yield one COCO file."""
    stream = content.annotations()
    survey = Survey()
    watched = survey.watch(stream.tasks())
    yield b'{"licenses": [],\n"images": ['
    yield from _array(_image(each) for task in watched for each in task.annotations)
    labels = slots(stream.configured_labels(), survey.labels)
    yield f'],\n"categories": [{_json(_category(labels))}],\n"annotations": ['.encode()
    instances = (each for task in stream.tasks() for each in instances_of(task))
    yield from _array(_entries(instances, labels))
    yield f'],\n"info": {_json(_info(survey))}}}\n'.encode()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _array(objects: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield the elements of a JSON array, without its brackets, an object a line."""
    separator = "\n"
    batch: list[str] = []
    for each in objects:
        batch.append(_json(each))
        if len(batch) == OBJECTS_PER_PIECE:
            yield (separator + ",\n".join(batch)).encode()
            separator, batch = ",\n", []
    if batch:
        yield (separator + ",\n".join(batch)).encode()


def _info(survey: Survey) -> dict[str, Any]:
    return {
        "description": "Keypoints that annotators left",
        "version": "2",
        "left_out": survey.left_out,
        "left_out_because": (
            "never compared with a suggestion, and no event of Label Studio brought them with "
            "their points, the size of their image and its address"
        ),
    }


def _category(labels: Sequence[str]) -> dict[str, Any]:
    return {
        "id": 1,
        "name": "object",
        "supercategory": "",
        "keypoints": labels,
        "skeleton": [],
        "keypoint_sigmas": [SIGMA] * len(labels),
    }


def _image(annotation: ExportedAnnotation) -> dict[str, Any]:
    """Return COCO's image entry for one annotation."""
    return {
        "id": annotation.id,
        "file_name": file_name(annotation.image_url),
        "width": round(annotation.width),
        "height": round(annotation.height),
        "project": annotation.project_uid,
        "task": annotation.task_id,
        "annotation": annotation.annotation_id,
        "annotator": annotation.annotator,
        "source": annotation.origin,
        "date_captured": iso_time(annotation.updated_at),
    }


def _entries(
    found: Iterable[tuple[ExportedAnnotation, Sequence[Instance]]], labels: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield COCO's annotation entries, numbered from 1."""
    places = {label: place for place, label in enumerate(labels)}
    number = 0
    for annotation, instances in found:
        for each in instances:
            number += 1
            yield {
                "id": number,
                "image_id": annotation.id,
                "category_id": 1,
                "keypoints": keypoints(each, places),
                "num_keypoints": len(each.points),
                "bbox": [each.box.left, each.box.top, each.box.width, each.box.height],
                "area": each.box.width * each.box.height,
                "area_of": each.box_of,
                "iscrowd": 0,
                "object": each.object,
                "label": each.label,
                "class": annotation.class_name,
                "source": annotation.origin,
            }


def keypoints(instance: Instance, places: Mapping[str, int]) -> list[float]:
    """Return x, y, v of every slot in turn; zeros where the instance has no such point.

    Args:
        places: label → place of its slot.
    """
    found = [0.0] * (3 * len(places))
    for each in instance.points:
        start = 3 * places[each.label]
        found[start : start + 3] = [centre_to_edge(each.x), centre_to_edge(each.y), each.visibility]
    return found
