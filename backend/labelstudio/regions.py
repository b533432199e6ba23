"""Keypoint ↔ Label Studio region: the only such conversion.

Label Studio counts in percent of the upright image, from its top left corner; turning the picture
in the editor changes `image_rotation` alone. A region needs an `id`, without which corrections
cannot be matched, and a `width`, without which the point is not drawn.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from backend.labelstudio.label_config import KeypointControl
from model.keypoint import Box, Detection, Keypoint

# Share of the image's width that the drawn dot's radius has; percent.
DOT = 0.6

# Field of a task's data: {"x": 10, "y": 20, "width": 50, "height": 60}, percent of the image.
BOX_FIELD = "box"

RECTANGLES = ("rectangle", "rectanglelabels")


class RegionError(ValueError):
    """A region or box that does not mean what it should; the message says why."""


def to_prediction(
    detection: Detection,
    control: KeypointControl,
    *,
    key: str,
    model_version: str,
    default_label: str | None,
) -> dict[str, Any]:
    """A detection as Label Studio takes predictions.

    Args:
        detection: of the upright image.
        control: where its keypoints go.
        key: of the prediction; the same key leads to the same region ids.
        model_version: as /setup tells it.
        default_label: where the predicted class is none of the labels.

    Returns:
        {"result": regions, "score": probability of the class, "model_version": ...}.
    """
    keypoints = detection.keypoints
    ids = _region_ids(key, len(keypoints) + 1)
    label = control.label(detection.class_name, default_label)
    result = [
        region
        for keypoint, region_id in zip(keypoints, ids[1:], strict=True)
        for region in _keypoint_regions(keypoint, detection, control, region_id, label)
    ]
    choices = control.choices
    choice = choices.choice(detection.class_name) if choices else None
    if choices and choice is not None:
        result.append(
            {
                "id": ids[0],
                "from_name": choices.from_name,
                "to_name": choices.to_name,
                "type": "choices",
                "score": float(detection.probability),
                "value": {"choices": [choice]},
            }
        )
    score = float(detection.probability)
    return {"result": result, "score": score, "model_version": model_version}


def _keypoint_regions(
    keypoint: Keypoint,
    detection: Detection,
    control: KeypointControl,
    region_id: str,
    label: str | None,
) -> Iterator[dict[str, Any]]:
    """One region, or the two of one id that a `KeyPoint` beside `Labels` makes."""
    region = {
        "id": region_id,
        "from_name": control.from_name,
        "to_name": control.to_name,
        "type": "keypoint" if control.plain else "keypointlabels",
        "original_width": int(detection.width),
        "original_height": int(detection.height),
        "image_rotation": 0,
        "score": float(keypoint.score),
    }
    value = {
        "x": (float(keypoint.x) + 0.5) / detection.width * 100,
        "y": (float(keypoint.y) + 0.5) / detection.height * 100,
        "width": DOT,
    }
    if not control.plain:
        yield region | {"value": value | {"keypointlabels": [label]}}
        return
    yield region | {"value": value}
    if control.labels_from_name:
        labelled = {"from_name": control.labels_from_name, "type": "labels"}
        yield region | labelled | {"value": value | {"labels": [label]}}


def _region_ids(key: str, count: int) -> list[str]:
    """`count` different ids of 10 characters that depend on `key` and position alone."""
    ids: dict[str, None] = {}
    draw = 0
    while len(ids) < count:
        ids[hashlib.sha256(f"{key} {draw}".encode()).hexdigest()[:10]] = None
        draw += 1
    return list(ids)


def to_keypoint(region: Mapping[str, Any]) -> Keypoint:
    """A keypoint region, also one that an annotator moved or made.

    Returns:
        `score` is 1 where the region has none, as a person's own point; `label` is empty where
        the region has none.

    Raises:
        RegionError: not a keypoint's region, or without the size of the image.
    """
    kind, value = region.get("type"), region.get("value")
    if kind not in ("keypointlabels", "keypoint", "labels") or not isinstance(value, Mapping):
        raise RegionError(f"expected a region of type keypointlabels or keypoint, got {kind!r}")
    width, height = (_size(region, side) for side in ("original_width", "original_height"))
    x, y = (_number(value, axis, "a keypoint's region") for axis in "xy")
    score = 1.0
    if region.get("score") is not None:
        score = _number(region, "score", "a keypoint's region")
    labels = value.get(kind)
    label = str(labels[0]) if isinstance(labels, list) and labels else ""
    return Keypoint(x=x / 100 * width - 0.5, y=y / 100 * height - 0.5, score=score, label=label)


def to_box(region: Mapping[str, Any], width: float, height: float) -> Box:
    """The bounding box of a rectangle's region, cut off at the border of an image of that size.

    Raises:
        RegionError: not four numbers, or nothing of the image inside.
    """
    return _box(region.get("value"), width, height)


def task_box(
    task: Mapping[str, Any], control: KeypointControl, width: int, height: int
) -> Box | None:
    """The part of a task's image to look at, if somebody said so.

    The field `box` of the task's data, {"x", "y", "width", "height"} in percent of the upright
    image as in Label Studio's rectangles; else the first rectangle on the image in the newest
    draft or annotation that has one.

    Args:
        task: as Label Studio sends it.
        control: names the image.
        width, height: of the upright image, px.

    Returns:
        The box, cut off at the image's border; None for the whole image.

    Raises:
        RegionError: not four numbers, or nothing of the image inside.
    """
    data = task.get("data")
    given = data.get(BOX_FIELD) if isinstance(data, Mapping) else None
    if given is None:
        given = next(_rectangles(task, control.to_name), None)
    return None if given is None else _box(given, width, height)


def _rectangles(task: Mapping[str, Any], to_name: str) -> Iterator[Mapping[str, Any]]:
    """Values of rectangles, of drafts before annotations, newest first."""
    for drawn in ("drafts", "annotations"):
        whole = [each for each in task.get(drawn) or [] if isinstance(each, Mapping)]
        for each in sorted(whole, key=lambda each: str(each.get("updated_at")), reverse=True):
            for region in each.get("result") or []:
                if region.get("type") in RECTANGLES and region.get("to_name") == to_name:
                    yield region.get("value")


def _box(rectangle: object, width: float, height: float) -> Box:
    """Bounding box in px of a rectangle in percent, turned about its top left corner or not."""
    what = 'a box {"x": 10, "y": 20, "width": 50, "height": 60} in percent of the image'
    if not isinstance(rectangle, Mapping):
        raise RegionError(f"expected {what}, got {rectangle!r}")
    x, y, w, h = (_number(rectangle, name, what) for name in ("x", "y", "width", "height"))
    if w <= 0 or h <= 0:
        raise RegionError(f"expected {what}, got width {w:g} and height {h:g}")
    turn = math.radians(_number({"rotation": 0} | dict(rectangle), "rotation", what))
    corners = [(0.0, 0.0), (w / 100 * width, 0.0), (0.0, h / 100 * height)]
    corners.append((corners[1][0], corners[2][1]))
    xs = [x / 100 * width + a * math.cos(turn) - b * math.sin(turn) for a, b in corners]
    ys = [y / 100 * height + a * math.sin(turn) + b * math.cos(turn) for a, b in corners]
    left, right = max(min(xs), 0.0), min(max(xs), float(width))
    top, bottom = max(min(ys), 0.0), min(max(ys), float(height))
    if left >= right or top >= bottom:
        raise RegionError(f"expected {what}, got one that lies outside the image: {rectangle!r}")
    return Box(left, top, right - left, bottom - top)


def _size(region: Mapping[str, Any], side: str) -> float:
    size = _number(region, side, "a region with the image's size")
    if size <= 0:
        raise RegionError(f"expected a region with the image's size, got {side} {size:g}")
    return size


def _number(values: Mapping[str, Any], name: str, what: str) -> float:
    number = values.get(name)
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise RegionError(f"expected {what}, got {name} {number!r}")
    return float(number)
