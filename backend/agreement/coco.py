"""Export the final annotations as COCO keypoints.

There is one image entry per annotation that counts, so that several annotators of an image do not
mix. Each rectangle of an annotation is an instance, and the points outside all rectangles are one
more. A label that occurs several times on an instance gets several keypoints, "label 1", "label 2".
Coordinates are COCO's: (0, 0) is the top left corner of the image, and (0.5, 0.5) the centre of
its first pixel.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any
from urllib.parse import urlsplit

from backend.agreement.export_content import ExportContent
from backend.verdicts.judging import SIGMA
from model.keypoint import centre_to_edge

VISIBLE = 2  # COCO's flag; Label Studio has no hidden points
OBJECTS_PER_PIECE = 1000


@dataclass(frozen=True, slots=True)
class KeypointSlots:
    """The keypoints of COCO's category: enough of each label for every instance.

    Attributes:
        names: of the keypoints, all different: "eye 1", "eye 2", "nose".
        labels: the label of each keypoint: "eye", "eye", "nose".
        first: label → index of its first keypoint.
    """

    names: Sequence[str]
    labels: Sequence[str]
    first: Mapping[str, int]

    @classmethod
    def of(cls, most_of_each_label: Mapping[str, int]) -> "KeypointSlots":
        """Give each label as many keypoints as it has on the instance that has most of it."""
        named = {label: _numbered(label, count) for label, count in most_of_each_label.items()}
        names = list(chain.from_iterable(named.values()))
        return cls(
            names,
            [label for label, found in named.items() for _ in found],
            {label: names.index(found[0]) for label, found in named.items()},
        )


def _numbered(label: str, count: int) -> list[str]:
    return [label] if count == 1 else [f"{label} {number}" for number in range(1, count + 1)]


def write(content: ExportContent) -> Iterator[bytes]:
    """Yield one COCO file."""
    slots = KeypointSlots.of(content.queries.most_of_each_label(content.filters))
    category = {
        "id": 1,
        "name": "object",
        "supercategory": "",
        "keypoints": slots.names,
        "skeleton": [],
        "keypoint_labels": slots.labels,
        "keypoint_sigmas": [SIGMA] * len(slots.names),
    }
    info = {"description": "Keypoints that annotators left", "version": "1"}
    yield f'{{"info": {json.dumps(info)},\n"licenses": [],\n'.encode()
    yield f'"categories": [{json.dumps(category, ensure_ascii=False)}],\n"images": ['.encode()
    yield from _array(_image(state) for state, _ in _annotations(content))
    yield b'],\n"annotations": ['
    yield from _array(_instances(content, slots))
    yield b"]}\n"


def _array(objects: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield the elements of a JSON array, without its brackets, an object a line."""
    separator = "\n"
    batch: list[str] = []
    for each in objects:
        batch.append(json.dumps(each, ensure_ascii=False))
        if len(batch) == OBJECTS_PER_PIECE:
            yield (separator + ",\n".join(batch)).encode()
            separator, batch = ",\n", []
    if batch:
        yield (separator + ",\n".join(batch)).encode()


def _annotations(content: ExportContent) -> Iterator[tuple[Any, list[Any]]]:
    """Yield (state, rows of its points) for each annotation."""
    rows = chain.from_iterable(content.queries.final_points(content.filters))
    for _, of_state in groupby(rows, key=lambda row: row.id):
        found = list(of_state)
        yield found[0], [row for row in found if row.final_x is not None]


def _image(state: Any) -> dict[str, Any]:
    """Return COCO's image entry for one annotation."""
    return {
        "id": state.id,
        "file_name": _file_name(state.image_url),
        "width": round(state.width),
        "height": round(state.height),
        "project": state.project_uid,
        "task": state.task_id,
        "annotation": state.annotation_id,
        "annotator": state.annotator,
        "date_captured": state.updated_at.isoformat(),
    }


def _file_name(url: str) -> str:
    """Return the path of an image without its signature; of a data URI only its type."""
    if url.startswith("data:"):
        return url.partition(",")[0]
    parts = urlsplit(url)
    local = "d=" in parts.query and parts.path.endswith("/local-files/")
    return parts.query.partition("d=")[2] if local else parts.path.lstrip("/")


def _instances(content: ExportContent, slots: KeypointSlots) -> Iterator[dict[str, Any]]:
    number = 0
    for state, points in _annotations(content):
        of_object: dict[int | None, list[Any]] = {place: [] for place in range(len(state.objects))}
        for row in points:
            of_object.setdefault(row.object, []).append(row)
        for place, rows in of_object.items():
            number += 1
            yield _instance(number, state, place, rows, slots)


def _instance(
    number: int, state: Any, place: int | None, rows: Sequence[Any], slots: KeypointSlots
) -> dict[str, Any]:
    """Return COCO's annotation entry for one rectangle, or for the points outside all of them.

    Args:
        number: the id of the entry.
        place: index of the rectangle in `state.objects`; None for the points outside.
        rows: the points on it.
    """
    box = _box(state, place, rows)
    return {
        "id": number,
        "image_id": state.id,
        "category_id": 1,
        "keypoints": _keypoints(rows, slots),
        "num_keypoints": len(rows),
        "bbox": box,
        "area": box[2] * box[3],
        "area_of": "points" if place is None else "rectangle",
        "iscrowd": 0,
        "class": state.class_name,
        "label": None if place is None else state.objects[place]["label"],
    }


def _keypoints(rows: Sequence[Any], slots: KeypointSlots) -> list[float]:
    """Return x, y, v of every slot in turn; zeros where the instance has no such point."""
    keypoints = [0.0] * (3 * len(slots.names))
    used: dict[str, int] = {}
    for row in rows:
        label = row.final_label or ""
        slot = slots.first[label] + used.get(label, 0)
        used[label] = used.get(label, 0) + 1
        x, y = centre_to_edge(row.final_x), centre_to_edge(row.final_y)
        keypoints[3 * slot : 3 * slot + 3] = [x, y, VISIBLE]
    return keypoints


def _box(state: Any, place: int | None, rows: Sequence[Any]) -> list[float]:
    """Return left, top, width, height: of the rectangle, else of the points' bounding box."""
    if place is not None:
        drawn = state.objects[place]
        return [drawn[name] for name in ("left", "top", "width", "height")]
    if not rows:
        return [0.0, 0.0, 0.0, 0.0]
    xs = [centre_to_edge(row.final_x) for row in rows]
    ys = [centre_to_edge(row.final_y) for row in rows]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
