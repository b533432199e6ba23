"""What is drawn on an image while an annotator works, as Label Studio sends it along.

Label Studio saves a draft at most 5 s after a change. So what the draft has is true, and what it
lacks may have been done since.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import hypot, inf

from backend.labelstudio.regions import RECTANGLES, Region, RegionError, to_box, to_keypoint
from backend.labelstudio.schemas import Drawing, Prediction, Task
from backend.labelstudio.shapes import Moment, Shape, read_each
from model.keypoint import Box, centre_to_edge

# Two points of one label this near each other, as a share of the image's longer side, are the same
# landmark.
SAME_PLACE = 0.1
SUGGESTED = "prediction"  # the origin of a region that nobody has changed


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height of the upright image, px."""

    width: float
    height: float

    @property
    def length(self) -> float:
        """The longer side."""
        return max(self.width, self.height)


@dataclass(frozen=True, slots=True)
class PlacedPoint:
    """A named point on the image.

    Attributes:
        x, y: px; (0, 0) is the centre of the first pixel.
        confirmed: whether a person has placed or moved it; otherwise it is as it was suggested.
    """

    region_id: str
    label: str
    x: float
    y: float
    confirmed: bool


@dataclass(frozen=True)
class Drawn:
    """The points and rectangles of an annotation.

    Attributes:
        regions: of all tools, raw, by id.
        saved_at: when the draft was saved; None if there is none.
    """

    points: Sequence[PlacedPoint] = ()
    boxes: Sequence[Box] = ()
    regions: Mapping[str, Region] | None = None
    saved_at: datetime | None = None

    def has(self, region_id: str) -> bool:
        """Return whether a region is part of it."""
        return region_id in (self.regions or {})


class _Saved(Shape):
    updated_at: Moment | None = None


def size_of(regions: Iterable[Region]) -> Size:
    """Return the size of the image that regions name; 100 × 100, as their percentages, if none."""
    for region in regions:
        sides = (region.get("original_width"), region.get("original_height"))
        if all(isinstance(side, int | float) and 0 < side < 1e6 for side in sides):
            return Size(float(sides[0] or 0), float(sides[1] or 0))
    return Size(100.0, 100.0)


def drawn_so_far(task: Task, prompts: Sequence[Region], to_name: str, size: Size) -> Drawn:
    """Return what the annotator has on the image, without what was just placed.

    The newest draft of the annotator, to whom alone Label Studio sends it. Without one, it has to
    be guessed: nobody places a landmark that is there already. So the newest annotation counts, as
    it is being changed, unless it has what was placed at the same place; then somebody else made
    it. Otherwise the newest prediction counts, as which an annotation begins, unless it has what
    was placed anywhere, or landmarks in the rectangle; then the project shows no predictions.
    """
    drafts = read_each(Drawing, task.drafts)
    if drafts:
        newest = max(drafts, key=lambda each: str(each.updated_at))
        saved = read_each(_Saved, [{"updated_at": newest.updated_at}])
        return _read(newest.result, to_name, size, saved[0].updated_at if saved else None)
    placed = points_of(prompts, to_name, size)
    made = [each for each in task.drawings() if not each.was_cancelled]
    if made:
        newest = max(made, key=lambda each: str(each.updated_at))
        found = _read(newest.result, to_name, size)
        if not _is_repeated(placed, found.points, SAME_PLACE * size.length):
            return found
    predictions = read_each(Prediction, task.predictions)
    if predictions:
        newest_prediction = max(predictions, key=lambda each: each.id)
        found = _read(newest_prediction.result, to_name, size, suggested=True)
        boxes = boxes_of(prompts, to_name, size)
        if not _is_repeated(placed, found.points, inf) and not _is_around(boxes, found.points):
            return found
    return Drawn()


def points_of(regions: Sequence[Region], to_name: str, size: Size) -> Sequence[PlacedPoint]:
    """Return the named points among regions on an image; one without a name has the label ""."""
    return _read(regions, to_name, size).points


def boxes_of(regions: Sequence[Region], to_name: str, size: Size) -> Sequence[Box]:
    """Return the rectangles among regions on an image."""
    return _read(regions, to_name, size).boxes


def rectangle_id(box: Box, regions: Iterable[Region], to_name: str, size: Size) -> str | None:
    """Return the id of the rectangle among regions that has this box, px; None if none has."""
    return next(
        (
            str(region["id"])
            for region in regions
            if region.get("id") and box in boxes_of([region], to_name, size)
        ),
        None,
    )


def _read(
    regions: Sequence[Region],
    to_name: str,
    size: Size,
    saved_at: datetime | None = None,
    *,
    suggested: bool = False,
) -> Drawn:
    points: dict[str, PlacedPoint] = {}
    boxes, by_id = [], {}
    for region in regions:
        region_id = str(region.get("id", ""))
        if region.get("to_name") != to_name:
            continue
        by_id[region_id] = region
        try:
            if region.get("type") in RECTANGLES:
                boxes.append(to_box(region, size.width, size.height))
                continue
            point = to_keypoint(
                {**region, "original_width": size.width, "original_height": size.height}
            )
        except RegionError:
            continue
        known = points.get(region_id)
        label = point.label or (known.label if known else "")
        confirmed = not suggested and region.get("origin") != SUGGESTED
        points[region_id] = PlacedPoint(region_id, label, point.x, point.y, confirmed)
    return Drawn(tuple(points.values()), tuple(boxes), by_id, saved_at)


def _is_repeated(
    placed: Sequence[PlacedPoint], found: Sequence[PlacedPoint], within: float
) -> bool:
    """Return whether a landmark, a label that occurs once, is placed within this distance again."""
    counts = Counter(point.label for point in found)
    return any(
        point.label == other.label
        and counts[other.label] == 1
        and hypot(point.x - other.x, point.y - other.y) <= within
        for point in placed
        for other in found
        if point.region_id != other.region_id
    )


def _is_around(boxes: Sequence[Box], found: Sequence[PlacedPoint]) -> bool:
    """Return whether a rectangle has a landmark, a label that occurs once, in it."""
    counts = Counter(point.label for point in found)
    return any(
        counts[point.label] == 1 and is_inside(box, point.x, point.y)
        for box in boxes
        for point in found
    )


@dataclass(frozen=True)
class ObjectHere:
    """The object that an annotator is pointing at.

    Attributes:
        box: the rectangle around it; None if there is none.
        anchor: a point of it, px; None if `box` was just drawn.
        rivals: points of other objects with the anchor's label.
        others: rectangles around other objects.
    """

    box: Box | None
    anchor: tuple[float, float] | None
    rivals: Sequence[tuple[float, float]] = ()
    others: Sequence[Box] = ()

    def has(self, x: float, y: float) -> bool:
        """Return whether a place belongs to this object.

        In its rectangle. Without one, outside all rectangles, and nearer to the anchor than to the
        same landmark of any other object.
        """
        if self.box is not None:
            return is_inside(self.box, x, y)
        if any(is_inside(box, x, y) for box in self.others):
            return False
        if self.anchor is None:
            return True
        own = hypot(x - self.anchor[0], y - self.anchor[1])
        return all(own <= hypot(x - a, y - b) for a, b in self.rivals)


def object_at(
    placed: PlacedPoint, points: Iterable[PlacedPoint], boxes: Sequence[Box]
) -> ObjectHere:
    """Return the object of a point: its smallest rectangle, else what lies around it."""
    around = [box for box in boxes if is_inside(box, placed.x, placed.y)]
    if around:
        return ObjectHere(min(around, key=lambda box: box.width * box.height), None)
    rivals = [
        (each.x, each.y)
        for each in points
        if each.label == placed.label
        and each.region_id != placed.region_id
        and not any(is_inside(box, each.x, each.y) for box in boxes)
    ]
    return ObjectHere(None, (placed.x, placed.y), rivals, tuple(boxes))


def is_inside(box: Box, x: float, y: float) -> bool:
    """Return whether a point, px from the first pixel's centre, lies in a box."""
    across, down = centre_to_edge(x) - box.left, centre_to_edge(y) - box.top
    return 0 <= across <= box.width and 0 <= down <= box.height
