"""Convert between keypoints and Label Studio's regions; no other module does.

Label Studio counts in percent of the upright image, from its top left corner; turning the image in
the editor changes `image_rotation` alone. A region needs an `id`, without which corrections cannot
be matched, and a `width`, without which Label Studio does not draw the point.
"""

import hashlib
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.schemas import BOX_FIELD, BoxSources, Drawing, PredictionJson
from backend.labelstudio.shapes import Json, read
from backend.labelstudio.skeletons import joined
from backend.labelstudio.visibility import VisibilityControl
from model.keypoint import Box, Detection, Keypoint, NamedKeypoint, centre_to_edge, edge_to_centre

# Radius of the drawn dot, percent of the image's width.
DOT = 0.6

Region = Mapping[str, Any]  # in Label Studio's JSON, raw

RECTANGLES = ("rectangle", "rectanglelabels")


class RegionError(ValueError):
    """A region or box cannot be used; the message says what was expected and what came."""


def to_prediction(
    detection: Detection,
    control: KeypointControl,
    *,
    key: str,
    model_version: str,
    default_label: str | None,
    parents: Sequence[str | None] = (),
    visibility: VisibilityControl | None = None,
) -> PredictionJson:
    """Return a detection as a prediction in Label Studio's JSON.

    Args:
        detection: a detection on the upright image.
        control: the control of the labelling configuration that receives the keypoints.
        key: identifies the prediction; the same key gives the same region ids.
        model_version: the version that /setup reports.
        default_label: label of the keypoints if the predicted class is none of the labels.
        parents: id of the region that each of the first keypoints belongs to; None for none.
        visibility: the control that receives the visibility of landmarks, where it is known.

    A keypoint that carries one of the configuration's labels keeps it. Of each label, the first
    points are kept, as many as its `maxUsages` allows.
    """
    # The vertices of a skeleton are landmarks: none can be labelled by the class.
    label = None if control.skeleton else control.label(detection.class_name, default_label)
    labelled = [
        LabelledPoint(each, control.find_label(each.label) or label, parent)
        for each, parent in zip_longest(detection.keypoints, parents)
    ]
    labelled = _within_max_usages(labelled, control)
    ids = _region_ids(key, len(labelled) + 1)
    size = (int(detection.width), int(detection.height))
    result = [
        region | ({"parentID": each.parent} if each.parent else {})
        for each, region_id in zip(labelled, ids[1:], strict=True)
        for region in _regions(each, size, control, region_id, visibility)
    ]
    if control.skeleton:
        object_label = control.skeleton.label(detection.class_name, default_label)
        result = joined(result, ids[1:], control.skeleton, object_label)
    classes = control.choices
    path = classes.path(detection.class_name) if classes else None
    if classes and path is not None:
        result.append(
            {
                "id": ids[0],
                "from_name": classes.from_name,
                "to_name": classes.to_name,
                "type": classes.kind,
                "score": float(detection.probability),
                "value": classes.value([path]),
            }
        )
    score = float(detection.probability)
    return {"result": result, "score": score, "model_version": model_version}


class LabelledPoint(NamedTuple):
    """A point of a prediction, with its label and the id of the region that it belongs to."""

    point: Keypoint
    label: str | None
    parent: str | None


def _regions(
    labelled: LabelledPoint,
    size: tuple[int, int],
    control: KeypointControl,
    region_id: str,
    visibility: VisibilityControl | None,
) -> Iterator[Json]:
    """Yield the regions of a point, and then its visibility."""
    point, label, _ = labelled
    regions = list(keypoint_regions(point, size, control, region_id, label))
    yield from regions
    if visibility and isinstance(point, NamedKeypoint) and point.visibility:
        chosen = visibility.result(regions[0], label, point.visibility)
        if chosen is not None:
            yield chosen


def _within_max_usages(
    labelled: Sequence[LabelledPoint], control: KeypointControl
) -> list[LabelledPoint]:
    """Return the points that Label Studio's editor would allow."""
    left = dict(control.max_usages)
    kept = []
    for each in labelled:
        if each.label in left:
            left[each.label] -= 1
        # A `KeyPointLabels` takes no point without a label.
        if control.plain if each.label is None else left.get(each.label, 0) >= 0:
            kept.append(each)
    return kept


def keypoint_regions(
    keypoint: Keypoint,
    size: tuple[int, int],
    control: KeypointControl,
    region_id: str,
    label: str | None,
) -> Iterator[Json]:
    """Yield one region, or for a `KeyPoint` beside `Labels` two regions with the same id.

    Args:
        size: width and height of the upright image, px.
    """
    region = {
        "id": region_id,
        "from_name": control.from_name,
        "to_name": control.to_name,
        "type": "keypoint" if control.plain else "keypointlabels",
        "original_width": size[0],
        "original_height": size[1],
        "image_rotation": 0,
        "score": float(keypoint.score),
    }
    value = {
        "x": centre_to_edge(float(keypoint.x)) / size[0] * 100,
        "y": centre_to_edge(float(keypoint.y)) / size[1] * 100,
        "width": DOT,
    }
    if not control.plain:
        yield region | {"value": value | {"keypointlabels": [label]}}
        return
    yield region | {"value": value}
    if control.labels_from_name and label is not None:
        labelled = {"from_name": control.labels_from_name, "type": "labels"}
        yield region | labelled | {"value": value | {"labels": [label]}}


def _region_ids(key: str, count: int) -> list[str]:
    """Return `count` different ids of 10 characters, derived from `key` alone."""
    ids: dict[str, None] = {}
    draw = 0
    while len(ids) < count:
        ids[hashlib.sha256(f"{key} {draw}".encode()).hexdigest()[:10]] = None
        draw += 1
    return list(ids)


def to_keypoint(region: Region) -> Keypoint:
    """Return the keypoint of a region, whether suggested, moved or drawn by an annotator.

    Returns:
        The keypoint in px of the image size that the region names. `score` is 1 and `label` empty
        if the region has none.

    Raises:
        RegionError: the region is of another kind, or lacks its position or the image's size.
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
    x, y = edge_to_centre(x / 100 * width), edge_to_centre(y / 100 * height)
    return Keypoint(x=x, y=y, score=score, label=label)


def to_box(region: Region, width: float, height: float) -> Box:
    """Return the bounding box of a rectangle's region, px, clipped to the image.

    Args:
        width, height: of the upright image, px.

    Raises:
        RegionError: the rectangle lacks one of its four numbers, or lies outside the image.
    """
    return box_from(region.get("value"), width, height)


def task_box(task: Json, control: KeypointControl, width: int, height: int) -> Box | None:
    """Return `box_of` a task's JSON, or of the part of it that a stored prediction keeps."""
    return box_of(read(BoxSources, task), control, width, height)


def box_of(sources: BoxSources, control: KeypointControl, width: int, height: int) -> Box | None:
    """Return the part of a task's image to look at, if the task names one.

    The field `box` of the task's data, {"x", "y", "width", "height"} in percent of the upright
    image as in Label Studio's rectangles, or the first of a list of them. Without it, the first
    rectangle on the image in the newest draft that has one, or else in the newest annotation, or
    else in the newest prediction without points. `rectangles` returns all of them.

    Args:
        control: names the image.
        width, height: of the upright image, px.

    Returns:
        The box, px, clipped to the image; None for the whole image.

    Raises:
        RegionError: the box lacks one of its four numbers, or lies outside the image.
    """
    given = sources.data.get(BOX_FIELD)
    if isinstance(given, list):
        given = next(iter(given), None)
    if given is None:
        given = next(_rectangles(sources, control.to_name), None)
    return None if given is None else box_from(given, width, height)


def newest_first(sources: BoxSources) -> Iterator[Drawing]:
    """Yield the drafts, then the annotations, then the predictions, each newest first.

    Predictions of points are left out, because they repeat the rectangles of others.
    """
    others = [each for each in sources.predictions if not each.has_points]
    for drawings in (sources.drafts, sources.annotations, others):
        yield from sorted(drawings, key=lambda each: str(each.updated_at), reverse=True)


def _rectangles(sources: BoxSources, to_name: str) -> Iterator[object]:
    """Yield the values of rectangles, those of the newest drawing first."""
    for each in newest_first(sources):
        for region in each.result:
            if region.get("type") in RECTANGLES and region.get("to_name") == to_name:
                yield region.get("value")


def box_from(rectangle: object, width: float, height: float) -> Box:
    """Return the bounding box, px, of a rectangle in percent, rotated about its top left corner."""
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
    if not (left < right and top < bottom):  # also for NaN, from numbers that overflow
        raise RegionError(f"expected {what}, got one that lies outside the image: {rectangle!r}")
    return Box(left, top, right - left, bottom - top)


def _size(region: Region, side: str) -> float:
    size = _number(region, side, "a region with the image's size")
    if size <= 0:
        raise RegionError(f"expected a region with the image's size, got {side} {size:g}")
    return size


def _number(values: Mapping[str, object], name: str, what: str) -> float:
    number: Any = values.get(name)
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not abs(number) <= sys.float_info.max:
        raise RegionError(f"expected {what}, got {name} {number!r}")
    return float(number)
