"""What a task of Label Studio asks for: an image, and where on it to look."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from backend.database.schema import LARGEST_ID
from backend.database.text import is_storable
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.regions import BOX_FIELD, RegionError, task_box
from backend.suggestions.records import Wanted

log = logging.getLogger(__name__)


def wanted_of(task: object, control: KeypointControl) -> Wanted | None:
    """What a task asks for; None where not even its id can be told.

    What cannot be predicted says so in its `refusal`.
    """
    task_id = task.get("id") if isinstance(task, dict) else None
    if isinstance(task_id, bool) or not isinstance(task_id, int) or abs(task_id) > LARGEST_ID:
        log.warning("Expected a task with a whole number as its id, got %.100r", task)
        return None
    assert isinstance(task, dict)
    given = task.get("data")
    data = given if isinstance(given, dict) else {}
    url = data.get(control.image_field)
    if not isinstance(url, str) or not url or not is_storable(url):
        return _refused(
            task_id,
            f"expected the address of an image in the field {control.image_field!r} of the task's "
            f'data, got {_short(url)}: give it one, or change value="${control.image_field}" '
            "in the labelling configuration",
        )
    region = _region_of(task, data)
    try:
        box = task_box(region, control, 100, 100)
    except RegionError as error:
        return _refused(task_id, str(error), url)
    if box is None:
        return Wanted(task_id, url, _sha256(url), {})
    return Wanted(task_id, url, _sha256(json.dumps([url, asdict(box)])), region)


def _refused(task_id: int, reason: str, url: str = "") -> Wanted:
    return Wanted(task_id, url, _sha256(url), {}, refusal=reason)


def _region_of(task: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Of a task, only what `task_box` reads, and only where it has the right shape."""
    region: dict[str, Any] = {
        drawn: [each for each in _list(task.get(drawn)) if _is_drawing(each)]
        for drawn in ("drafts", "annotations")
    }
    return region | ({"data": {BOX_FIELD: data[BOX_FIELD]}} if BOX_FIELD in data else {})


def _is_drawing(each: object) -> bool:
    if not isinstance(each, dict):
        return False
    regions = each.get("result")
    return isinstance(regions, list) and all(isinstance(region, dict) for region in regions)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _short(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 100 else f"{shown[:100]}..."


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
