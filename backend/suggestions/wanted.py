"""The prediction that a Label Studio task requires: an image, and where on it to look."""

import hashlib
import json
import logging
from dataclasses import asdict

from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.rectangles import rectangles_of
from backend.labelstudio.regions import RegionError, box_of
from backend.labelstudio.schemas import BoxSources, Task
from backend.labelstudio.shapes import Json, describe, read_or_none
from backend.labelstudio.task_values import value_at
from backend.suggestions.listed import LISTED, listed_for
from backend.suggestions.records import Wanted
from backend.suggestions.several_images import IMAGES, NamedImage, images_of, sources_on

logger = logging.getLogger(__name__)


def wanted_of(task: object, control: KeypointControl) -> Wanted | None:
    """Return the prediction that a task requires.

    Args:
        task: a `Task`, or the raw JSON that /predict sends.
        control: names the field that holds the image's address.

    Returns:
        None if the task has no usable id. A task that cannot be predicted has a `refusal`.
    """
    found = read_or_none(Task, task)
    if found is None:
        logger.warning("Expected a task with a whole number as its id, got %.100r", task)
        return None
    images = images_of(found, control)
    if not images:
        return _refused(
            found.id,
            f"expected the address of an image in the field {control.image_path!r} of the task's "
            f"data, got {describe(value_at(found.data, control.image_path))}: give it one, or "
            f'change value="${control.image_path}" in the labelling configuration',
        )
    url, sources = images[0].url, found.box_sources()
    try:
        boxes = [_boxes_on(image, sources, control) for image in images]
    except RegionError as error:
        return _refused(found.id, str(error), url)
    parts: list[object] = [url]
    kept: Json = {}
    if boxes[0]:
        parts.append(boxes[0] if len(boxes[0]) > 1 else boxes[0][0])
    if any(boxes):
        kept = sources.box_json()
    listed = listed_for(control, found.data)
    if listed:
        parts.append(listed)
        kept |= {LISTED: listed}
    is_first = images[0].to_name == control.to_name
    if len(images) > 1 or not is_first:
        parts.append({IMAGES: [[*each, *on] for each, on in zip(images, boxes, strict=True)]})
        kept |= {IMAGES: [list(each) for each in images]}
        if not is_first:
            kept.pop("data", None)  # its box is about the image that is missing
    return Wanted(found.id, url, _sha256(json.dumps(parts) if len(parts) > 1 else url), kept)


def _boxes_on(
    image: NamedImage, sources: BoxSources, control: KeypointControl
) -> list[dict[str, float]]:
    """Return the boxes on an image, percent; none if the task names none.

    Raises:
        RegionError: the first of them is unusable.
    """
    own = control.on(image.to_name)
    assert own is not None, "the image was found by its control"
    sources = sources_on(sources, own, control)
    first = box_of(sources, own, 100, 100)
    if first is None:
        return []
    boxes = [asdict(each.box) for each in rectangles_of(sources, own, 100, 100)]
    return boxes if len(boxes) > 1 else [asdict(first)]


def _refused(task_id: int, reason: str, url: str = "") -> Wanted:
    return Wanted(task_id, url, _sha256(url), {}, refusal=reason)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
