"""Skeletons: `VectorLabels` with `skeleton="true"`, one region an object, one vertex a landmark.

Label Studio 1.23.2 has no labels of vertices, only of whole regions. So the configuration lists the
landmarks, in an attribute that Label Studio ignores:

    <VectorLabels name="skeleton" toName="image" skeleton="true"
                  landmarks="beak, head, back, tail, foot:back">
      <Label value="bird"/>
    </VectorLabels>

Each landmark hangs on the one before it, or on the one after the colon. A suggested vertex has the
name of its landmark as its id, which survives moving, deleting and submitting; a vertex that an
annotator adds has a random one. All other code works with points: regions are split into those of
single vertices when they are read, and joined when they are sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from backend.labelstudio.config_tags import (
    LabelConfigError,
    image_of,
    names,
    stored_name,
    tags,
)
from backend.labelstudio.shapes import Json

KIND = "vectorlabels"
Region = Mapping[str, Any]


@dataclass(frozen=True)
class Skeleton:
    """The landmarks of an object and how they hang together.

    Attributes:
        landmarks: (label, label that it hangs on) in their order; the first hangs on none.
        labels: of whole objects, as results hold them.
    """

    landmarks: tuple[tuple[str, str | None], ...]
    labels: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The labels of the landmarks, in their order."""
        return tuple(name for name, _ in self.landmarks)

    def label(self, *wanted: str | None) -> str:
        """Return the first wanted label that objects can have, else their first label."""
        found = (stored_name(name, self.labels, ()) for name in wanted if name)
        return next((name for name in found if name is not None), self.labels[0])


def skeleton_on_image(
    root: Element, images: Mapping[str, Element]
) -> tuple[Element, Element, Skeleton] | None:
    """Return the first control for skeletons on an image, that image, and what it lists.

    Raises:
        LabelConfigError: it lists no landmarks, or they do not hang together.
    """
    for tag in tags(root, "VectorLabels"):
        image = image_of(tag, images)
        if image is not None and tag.get("skeleton") == "true":
            labels, _ = names(tag, "Label")
            return tag, image, Skeleton(tuple(_landmarks(tag)), labels or ("object",))
    return None


def _landmarks(tag: Element) -> Iterator[tuple[str, str | None]]:
    expected = (
        f'expected <VectorLabels name="{tag.get("name")}" skeleton="true" '
        'landmarks="beak, head, tail, foot:head"> with the names of the vertices, each hanging on '
        "the one before it or on the one after its colon"
    )
    found: dict[str, str | None] = {}
    for item in tag.get("landmarks", "").split(","):
        name, colon, before = (part.strip() for part in item.partition(":"))
        last = next(reversed(found), None)
        if not name or name in found or (colon and before not in found):
            raise LabelConfigError(f"{expected}, got {tag.get('landmarks')!a}")
        found[name] = before if colon else last
    yield from found.items()


# Reading


def split(regions: Sequence[Region], skeleton: Skeleton | None) -> list[Region]:
    """Return the regions, with a keypoint's region for each vertex in place of a skeleton."""
    if skeleton is None:
        return list(regions)
    found: list[Region] = []
    for region in regions:
        value = region.get("value")
        vertices = value.get("vertices") if isinstance(value, Mapping) else None
        if region.get("type") == KIND and isinstance(vertices, list):
            found += _points(region, vertices, skeleton)
        else:
            found.append(region)
    return found


def _points(region: Region, vertices: Sequence[object], skeleton: Skeleton) -> Iterator[Json]:
    known = [each for each in vertices if isinstance(each, Mapping)]
    for vertex, label in zip(known, _labels(known, skeleton), strict=True):
        point = {**region, "type": "keypointlabels", "id": f"{region.get('id')}/{vertex.get('id')}"}
        point.pop("score", None)
        if vertex.get("score") is not None:
            point["score"] = vertex["score"]
        place = {axis: vertex[axis] for axis in "xy" if axis in vertex}
        yield point | {"value": place | {"keypointlabels": [label] if label else []}}


def _labels(vertices: Sequence[Region], skeleton: Skeleton) -> list[str]:
    """Return the label of each vertex; empty where it has none.

    Vertices that an annotator has added take the names that the region lacks, in their order, if
    there are as many.
    """
    named = [each.get("id") if each.get("id") in skeleton.names else None for each in vertices]
    missing = [name for name in skeleton.names if name not in named]
    new = iter(missing if named.count(None) == len(missing) else [])
    return [str(name) if name is not None else next(new, "") for name in named]


# Sending


def joined(
    points: Sequence[Json], ids: Sequence[str], skeleton: Skeleton, label: str
) -> list[Json]:
    """Return one region for the points of each parent, best first.

    Args:
        points: regions of keypoints, each with one of the skeleton's labels, best first.
        ids: of the regions; at least as many as there are parents.
        label: of the objects.
    """
    objects: dict[str | None, dict[str, Json]] = {}
    for each in points:
        [name] = each["value"]["keypointlabels"]
        objects.setdefault(each.get("parentID"), {}).setdefault(name, each)
    return [
        _region(of_object, region_id, skeleton, label)
        for region_id, of_object in zip(ids, objects.values(), strict=False)
    ]


def _region(points: Mapping[str, Json], region_id: str, skeleton: Skeleton, label: str) -> Json:
    first = next(iter(points.values()))
    vertices = list(_vertices(points, skeleton))
    value = {"vertices": vertices, "closed": False, KIND: [label]}
    region = {**first, "id": region_id, "type": KIND, "value": value}
    if "score" in first:
        region["score"] = sum(each["score"] for each in vertices) / len(vertices)
    return region


def _vertices(points: Mapping[str, Json], skeleton: Skeleton) -> Iterator[Json]:
    """Yield the vertices in the order of the skeleton.

    One whose predecessor is missing hangs on that one's predecessor, as after a deletion in the
    editor. Where none is left, it hangs on the vertex before it: the editor draws no second root.
    """
    before = dict(skeleton.landmarks)
    last: str | None = None
    for name in skeleton.names:
        if name not in points:
            continue
        hangs_on = before[name]
        while hangs_on is not None and hangs_on not in points:
            hangs_on = before[hangs_on]
        point, value = points[name], points[name]["value"]
        vertex = {"id": name, "x": value["x"], "y": value["y"], "isBezier": False}
        previous = hangs_on or last
        if previous is not None:
            vertex["prevPointId"] = previous
        yield vertex | {key: point[key] for key in ("score",) if key in point}
        last = name
