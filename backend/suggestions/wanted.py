"""The prediction that a Label Studio task requires: an image, and where on it to look."""

import hashlib
import json
import logging
from dataclasses import asdict

from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.rectangles import rectangles_of
from backend.labelstudio.regions import RegionError, box_of
from backend.labelstudio.schemas import Task
from backend.labelstudio.shapes import Json, describe, read_or_none
from backend.labelstudio.task_values import value_at
from backend.suggestions.listed import LISTED, listed_for
from backend.suggestions.records import Wanted

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
    url = found.image_url(control.image_path)
    if url is None:
        return _refused(
            found.id,
            f"expected the address of an image in the field {control.image_path!r} of the task's "
            f"data, got {describe(value_at(found.data, control.image_path))}: give it one, or "
            f'change value="${control.image_path}" in the labelling configuration',
        )
    sources = found.box_sources()
    try:
        box = box_of(sources, control, 100, 100)
    except RegionError as error:
        return _refused(found.id, str(error), url)
    parts: list[object] = [url]
    kept: Json = {}
    if box is not None:
        boxes = [asdict(each.box) for each in rectangles_of(sources, control, 100, 100)]
        parts.append(boxes if len(boxes) > 1 else asdict(box))
        kept = sources.box_json()
    listed = listed_for(control, found.data)
    if listed:
        parts.append(listed)
        kept |= {LISTED: listed}
    return Wanted(found.id, url, _sha256(json.dumps(parts) if len(parts) > 1 else url), kept)


def _refused(task_id: int, reason: str, url: str = "") -> Wanted:
    return Wanted(task_id, url, _sha256(url), {}, refusal=reason)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
