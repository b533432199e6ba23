"""Read the regions of an annotation: points, choices and rectangles.

Everything that cannot be read, or says nothing about the suggestions, is listed with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from backend.database.text import is_storable, storable
from backend.labelstudio.class_controls import KINDS as CLASS_KINDS
from backend.labelstudio.regions import RECTANGLES, Region, RegionError, to_box, to_keypoint
from backend.labelstudio.skeletons import Skeleton, split
from backend.labelstudio.visibility import VisibilityControl
from model.keypoint import Box, Visibility, edge_to_centre

POINTS = ("keypointlabels", "keypoint")
# Types of results that draw nothing: with the id of a region, they are about that region.
DRAWS_NOTHING = (*CLASS_KINDS, "textarea", "rating", "number", "datetime", "relation")
MARGIN = 1e-6  # px; rounding may put a point this far beyond the image's border


class Unusable(ValueError):
    """An annotation cannot be compared with the suggestions; the message says why."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The suggestions for a task, whether the annotator saw them or not.

    Attributes:
        result: regions, as sent to Label Studio.
        width, height: of the upright image, px.
        box: the part of the image that the detector searched.
        visibility: the control that says which points are occluded; None if there is none.
        skeleton: how points make one region, if they do.
    """

    result: Sequence[Region]
    width: float
    height: float
    box: Box
    visibility: VisibilityControl | None = None
    skeleton: Skeleton | None = None

    @property
    def task_box(self) -> Box | None:
        """The box that the task came with; None if it covers the image."""
        covers_all = self.box.width >= self.width and self.box.height >= self.height
        return None if covers_all else self.box

    @property
    def length(self) -> float:
        """Longer side of the task's box, else of the image, px."""
        box = self.task_box
        return max(box.width, box.height) if box else max(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Object:
    """A rectangle that the annotator drew around something."""

    region_id: str
    label: str
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A suggested or final point; compared by identity.

    Attributes:
        x, y: px; (0, 0) is the centre of the first pixel.
        by_hand: whether the editor marked it as drawn by the annotator.
        parent: id of the region that it belongs to.
        number: index among the suggested points, from 0; None for a final point.
        visibility: what a choice about the point says; None if there is none.
    """

    region_id: str | None
    x: float
    y: float
    label: str
    score: float | None
    by_hand: bool = False
    parent: str | None = None
    number: int | None = None
    visibility: Visibility | None = None


@dataclass(slots=True)
class Drawn:
    """The regions of an annotation, by kind.

    Attributes:
        unreadable: ids of points that cannot be used.
        choices: choices without a region, of any control.
        unused: for each region that says nothing about the suggestions, the reason.
    """

    points: list[Point] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    choices: list[Region] = field(default_factory=list)
    objects: list[Object] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def read_suggestions(shown: Shown) -> tuple[list[Point], Region | None]:
    """Return the suggested points, numbered, and the suggested class."""
    drawn = read_regions(shown.result, shown, None)
    points = [replace(point, number=number) for number, point in enumerate(drawn.points)]
    return points, next(iter(drawn.choices), None)


def read_regions(result: Sequence[object], shown: Shown, to_name: object) -> Drawn:
    """Read the regions on one image.

    Args:
        result: raw JSON.
        shown: gives the size of the image.
        to_name: name of the image; None for any.

    Raises:
        Unusable: every point is on another image or names none.
    """
    objects = [region for region in result if isinstance(region, Mapping)]
    drawn = Drawn(unused=["a region that is not an object"] * (len(result) - len(objects)))
    regions = split(objects, shown.skeleton)
    if to_name is not None:
        require_image(regions, [to_name])
    kinds = [region.get("type") for region in regions]
    labels = {_id(region): region for region in regions if region.get("type") == "labels"}
    plain = {_id(region) for region in regions if region.get("type") == "keypoint"}
    of_points = {_id(region) for region in regions if region.get("type") in POINTS} - {None}
    drawn_ids = {_id(region) for region in objects if region.get("type") not in DRAWS_NOTHING}
    drawn_ids -= {None}
    said = _visibilities(regions, shown.visibility)
    for region, kind in zip(regions, kinds, strict=True):
        if kind == "relation":
            drawn.unused.append("a relation between regions")
        elif to_name is not None and region.get("to_name") != to_name:
            drawn.unused.append(unused_elsewhere(region))
        elif kind in POINTS:
            _read_point(region, labels.get(_id(region)), said.get(_id(region)), shown, drawn)
        elif kind in CLASS_KINDS and _id(region) in of_points:
            if shown.visibility is None or shown.visibility.meaning(region) is None:
                drawn.unused.append("a choice about a single point")
        elif kind in CLASS_KINDS and (_id(region) in drawn_ids or _has_place(region)):
            drawn.unused.append("a choice about a single region")
        elif kind in CLASS_KINDS:
            drawn.choices.append(region)
        elif kind in RECTANGLES:
            _read_rectangle(region, labels.get(_id(region)), shown, drawn)
        elif kind == "labels" and (_id(region) in plain or "rectangle" in kinds):
            continue  # labels another region with the same id
        else:
            drawn.unused.append(f"a region of another tool ({_short(kind)})")
    return drawn


def _visibilities(
    regions: Sequence[Region], control: VisibilityControl | None
) -> dict[str | None, Visibility]:
    """Return the id of each region about which the control says something → what it says."""
    if control is None:
        return {}
    said = ((_id(region), control.meaning(region)) for region in regions)
    return {region_id: each for region_id, each in said if region_id is not None and each}


def _has_place(choice: Region) -> bool:
    """Return whether a choice repeats the position of a region, as choices about a region do."""
    value = choice.get("value")
    return isinstance(value, Mapping) and any(name in value for name in ("x", "points", "rle"))


def unused_elsewhere(region: Region) -> str:
    """Return why a region that is on none of the images is unused."""
    if region.get("to_name") is None:
        return "a region that does not name its image"
    return "a region on another image"


def require_image(regions: Sequence[Region], to_names: Sequence[object]) -> None:
    """Make sure that a point is on one of these images, if there is any point.

    Raises:
        Unusable: every point is on another image, or names none.
    """
    names = [region.get("to_name") for region in regions if region.get("type") in POINTS]
    if names and not any(names):
        raise Unusable("no point names its image (to_name)")
    if names and not any(name in to_names for name in names):
        raise Unusable(
            "every point is on another image than the suggestions: the configuration was changed "
            "in between"
        )


def _read_point(
    region: Region,
    labels: Region | None,
    visibility: Visibility | None,
    shown: Shown,
    drawn: Drawn,
) -> None:
    region_id = _id(region)
    # The browser may measure the image differently; the decoded image's size counts.
    size = {"original_width": shown.width, "original_height": shown.height}
    try:
        keypoint = to_keypoint({**region, **size})
    except RegionError:
        reason = "a point without usable numbers"
    else:
        inside = _is_inside(keypoint.x, shown.width) and _is_inside(keypoint.y, shown.height)
        reason = "" if inside else "a point outside the image"
    if reason:
        drawn.unused.append(reason)
        if region_id is not None:
            drawn.unreadable.add(region_id)
        return
    label, named = _storable(keypoint.label), _named(region.get("value"), str(region.get("type")))
    if labels is not None and region.get("type") == "keypoint":
        named = _named(labels.get("value"), "labels")
        label = _first(labels.get("value"), "labels") or label
    # A verdict has one final label: the first.
    drawn.unused += ["a further label of a point"] * (len(named) - 1)
    score = keypoint.score if region.get("score") is not None else None
    by_hand, parent = region.get("origin") == "manual", text_of(region.get("parentID"))
    place = keypoint.x, keypoint.y
    drawn.points.append(
        Point(region_id, *place, label, score, by_hand, parent, visibility=visibility)
    )


def _read_rectangle(region: Region, labels: Region | None, shown: Shown, drawn: Drawn) -> None:
    try:
        box = to_box(region, shown.width, shown.height)
    except RegionError:
        drawn.unused.append("a rectangle without usable numbers")
        return
    label = _first(region.get("value"), "rectanglelabels")
    if not label and labels is not None:
        label = _first(labels.get("value"), "labels")
    drawn.objects.append(Object(_id(region) or "", label, box))
    drawn.unused.append("a rectangle, of which only the size counts, as the object's")


def _is_inside(position: float, side: float) -> bool:
    return edge_to_centre(-MARGIN) <= position <= edge_to_centre(side + MARGIN)


def _id(region: Region) -> str | None:
    return text_of(region.get("id"))


def text_of(value: object) -> str | None:
    """Return a non-empty text or a number as text that every database can store, else None."""
    return _storable(str(value)) if isinstance(value, str | int) and value != "" else None


def _storable(text: str) -> str:
    return text if is_storable(text) else storable(text)


def _first(value: object, name: str) -> str:
    named = _named(value, name)
    return _storable(str(named[0])) if named else ""


def _named(value: object, name: str) -> list[object]:
    """Return the list of that name in a region's value; empty if there is none."""
    named = value.get(name) if isinstance(value, Mapping) else None
    return named if isinstance(named, list) else []


def _short(value: object) -> str:
    return _storable(value[:40]) if isinstance(value, str) else ascii(value)[:40]
