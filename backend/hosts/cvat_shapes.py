"""Convert between Label Studio's regions and CVAT's shapes; no other module does.

CVAT counts in px of the upright image, from its top left corner. A keypoint is a shape of type
`points`, or an element of a `skeleton`. The id of that shape or element in CVAT is the id of the
region, so that a region and what became of it are joined by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from backend.hosts.cvat_labels import PointLabel, PointLabels
from backend.hosts.cvat_schemas import CvatShape, Element
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.regions import Region, keypoint_regions, to_keypoint
from backend.labelstudio.shapes import Json
from model.keypoint import Keypoint, centre_to_edge, edge_to_centre

AUTO = "auto"
# CVAT's editor compares positions rounded to 4 decimals; px.
ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class NewShape:
    """A shape to create.

    Attributes:
        json: as CVAT's API takes it, without a source.
        regions: index of the region of each keypoint in it, in its order; None for a landmark that
            is absent.
    """

    json: Json
    regions: tuple[int | None, ...]


def to_shapes(regions: Sequence[Region], labels: PointLabels, frame: int = 0) -> Iterator[NewShape]:
    """Yield the shapes of the keypoints of a prediction: single ones, then skeletons.

    A skeleton has one element for each of its labels; landmarks that were not found are `outside`,
    in the middle of the others. Of a label within a skeleton the first point counts.
    """
    points = [to_keypoint(region) for region in regions]
    of_skeletons: dict[int, dict[int, int]] = {}
    for index, point in enumerate(points):
        label = labels.named(point.label)
        if label is None:
            continue
        if label.skeleton_id is None:
            yield NewShape(_points(point, label.label_id, frame), (index,))
        else:
            of_skeletons.setdefault(label.skeleton_id, {}).setdefault(label.label_id, index)
    for skeleton_id, found in of_skeletons.items():
        parts = labels.of_skeleton(skeleton_id)
        yield _skeleton(skeleton_id, parts, points, found, frame)


def with_ids(
    regions: Sequence[Region], new: Sequence[NewShape], made: Sequence[CvatShape]
) -> list[Json]:
    """Return the regions that became shapes, each with the id that it has in CVAT.

    Args:
        new: what was to be created.
        made: what CVAT created, in the same order.
    """
    found = []
    for shape, one in zip(new, made, strict=True):
        parts: Sequence[Element] = [one]
        if one.type == "skeleton":
            of_label = {each.label_id: each for each in one.elements}
            parts = [of_label[each["label_id"]] for each in shape.json["elements"]]
        for part, index in zip(parts, shape.regions, strict=True):
            if index is not None:
                found.append({**regions[index], "id": str(part.id)})
    return found


def to_regions(
    shapes: Sequence[CvatShape],
    labels: PointLabels,
    control: KeypointControl,
    size: tuple[int, int],
    sent: Sequence[Region] = (),
) -> list[Json]:
    """Return the keypoints on a frame as regions of an annotation.

    CVAT gives a shape a new id where its deletion was undone, or where all annotations were
    uploaded anew. So a shape that a program made, and whose id is not known, keeps the id of a
    suggestion at the very same place that is missing.

    Args:
        size: width and height of the image, px.
        sent: the regions that were suggested.
    """
    points = list(_keypoints(shapes, labels))
    present = {point.region_id for point in points}
    missing = [
        (str(region["id"]), to_keypoint(region))
        for region in sent
        if str(region["id"]) not in present
    ]
    regions: list[Json] = []
    for point in points:
        region_id = point.region_id
        if point.source != "manual":
            again = next((each for each in missing if _is_same(each[1], point.keypoint)), None)
            if again is not None:
                missing.remove(again)
                region_id = again[0]
        for region in keypoint_regions(
            point.keypoint, size, control, region_id, point.keypoint.label
        ):
            del region["score"]  # of the suggestion, which the annotation does not repeat
            regions.append(region | {"origin": _origin(point.source)})
    return regions


def is_untouched(
    shapes: Sequence[CvatShape], labels: PointLabels, sent: Sequence[Region] | None
) -> bool:
    """Return whether nobody has begun to work on a frame.

    So every keypoint is as a program made it, and none that was suggested is missing or changed.

    Args:
        shapes: those on the frame, with labels of keypoints.
        sent: the regions that were suggested last; None if none ever was.
    """
    if any(shape.source != AUTO for shape in shapes):
        return False
    present = {point.region_id: point.keypoint for point in _keypoints(shapes, labels)}
    return all(
        (here := present.get(str(region["id"]))) is not None and _is_same(to_keypoint(region), here)
        for region in sent or ()
    )


def shows_the_same(
    shapes: Sequence[CvatShape], labels: PointLabels, regions: Sequence[Region]
) -> bool:
    """Return whether a frame has exactly the keypoints of a prediction."""
    left = [point.keypoint for point in _keypoints(shapes, labels)]
    for region in regions:
        wanted = to_keypoint(region)
        same = next((each for each in left if _is_same(wanted, each)), None)
        if same is None:
            return False
        left.remove(same)
    return not left


@dataclass(frozen=True, slots=True)
class _Placed:
    """A keypoint in CVAT."""

    region_id: str
    keypoint: Keypoint
    source: str


def _keypoints(shapes: Sequence[CvatShape], labels: PointLabels) -> Iterator[_Placed]:
    for shape in shapes:
        parts: Sequence[Element] = shape.elements if shape.type == "skeleton" else [shape]
        for part in parts:
            label = labels.with_id(part.label_id)
            if label is None or part.type != "points" or part.outside:
                continue
            pairs = list(zip(part.points[::2], part.points[1::2], strict=False))
            for number, (x, y) in enumerate(pairs):
                # A shape of type points may have several.
                region_id = f"{part.id}.{number}" if number else str(part.id)
                place = Keypoint(edge_to_centre(x), edge_to_centre(y), 1.0, label.name)
                yield _Placed(region_id, place, shape.source)


def _is_same(one: Keypoint, other: Keypoint) -> bool:
    apart = max(abs(one.x - other.x), abs(one.y - other.y))
    return one.label == other.label and apart <= ROUNDING


def _origin(source: str) -> str:
    """Return how Label Studio says where a region came from."""
    return {AUTO: "prediction", "semi-auto": "prediction-changed"}.get(source, "manual")


def _points(point: Keypoint, label_id: int, frame: int) -> Json:
    return {
        "type": "points",
        "label_id": label_id,
        "frame": frame,
        "points": [centre_to_edge(point.x), centre_to_edge(point.y)],
        "occluded": False,
        "outside": False,
        "score": point.score,
    }


def _skeleton(
    skeleton_id: int,
    parts: Sequence[PointLabel],
    points: Sequence[Keypoint],
    found: Mapping[int, int],
    frame: int,
) -> NewShape:
    present = [points[index] for index in found.values()]
    x, y, score = (fmean(getattr(each, name) for each in present) for name in ("x", "y", "score"))
    elements, regions = [], []
    for part in parts:
        index = found.get(part.label_id)
        point = Keypoint(x, y, 0.0, part.name) if index is None else points[index]
        elements.append(_points(point, part.label_id, frame) | {"outside": index is None})
        regions.append(index)
    whole = {
        "type": "skeleton",
        "label_id": skeleton_id,
        "frame": frame,
        "points": [],
        "occluded": False,
        "outside": False,
        "score": score,
        "elements": elements,
    }
    return NewShape(whole, tuple(regions))
