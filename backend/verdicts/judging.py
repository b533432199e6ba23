"""Judge an annotation: one verdict for each point, and one for the class.

The position of a point decides, not its `origin`, which clients of Label Studio's API may omit.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backend.labelstudio.class_controls import chosen_paths, text_of_paths
from backend.labelstudio.regions import Region
from backend.verdicts.drawn import (
    Drawn,
    Object,
    Point,
    Shown,
    read_regions,
    read_suggestions,
    text_of,
)
from backend.verdicts.joining import Pair, join, match
from model.keypoint import Box, Visibility, centre_to_edge

# Thresholds of the verdicts. Lengths are shares of the longer side of the object if its rectangle
# is known, else of the image, so that nothing depends on the number of pixels.
UNTOUCHED = 1e-5  # greatest displacement that counts as none: browsers round percentages
NEAR = 0.05  # greatest distance of a suggestion that counts as right; α of the evaluation
GATE = 0.1  # greatest distance of two points that are paired without an id
# Spread in object keypoint similarity: the same for every label, as none has been measured.
SIGMA = 0.05

ACCEPTED = "accepted"
MOVED = "moved"
RELABELLED = "relabelled"
MOVED_AND_RELABELLED = "moved_and_relabelled"
DELETED = "deleted"
ADDED = "added"
UNKNOWN_CHOICE = "a choice although the configuration has no control for the class"
VERDICTS = (ACCEPTED, MOVED, RELABELLED, MOVED_AND_RELABELLED, DELETED, ADDED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An annotator's change of one suggestion, or an addition.

    Attributes:
        kind: "point", "choice", or "follow-up" for a point of an interactive answer.
        verdict: one of `VERDICTS`.
        number: index among the suggestions of its kind, from 0; None for an addition.
        suggested_x, suggested_y, final_x, final_y: px; (0, 0) is the centre of the first pixel.
            None for choices, and if there is no such point.
        displacement: between suggestion and final point, px.
        length: longer side of the object that the point belongs to, px; None if unknown.
        area: area of that object, px².
        object: index of that object in `Judgement.objects`; None for the task's own box and for
            no object.
        suggested_hit, final_hit: whether the point has a partner on the other side within `NEAR`,
            one to one, regardless of ids and labels; None if there is no such point.
        suggested_visibility, final_visibility: what a choice about the point says; None if there is
            no such point, or nothing was chosen. They have no part in `verdict`.
    """

    kind: str
    verdict: str
    number: int | None = None
    region_id: str | None = None
    suggested_label: str | None = None
    final_label: str | None = None
    score: float | None = None
    suggested_x: float | None = None
    suggested_y: float | None = None
    final_x: float | None = None
    final_y: float | None = None
    displacement: float | None = None
    length: float | None = None
    area: float | None = None
    object: int | None = None
    suggested_hit: bool | None = None
    final_hit: bool | None = None
    suggested_visibility: Visibility | None = None
    final_visibility: Visibility | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdicts that an annotation gives about the suggestions.

    Attributes:
        unused: for each region that says nothing about them, the reason.
    """

    verdicts: tuple[Verdict, ...]
    objects: tuple[Object, ...]
    unused: tuple[str, ...]


def judge(
    shown: Shown,
    result: Sequence[object],
    *,
    made_from_it: bool,
    class_control: str | None = None,
) -> Judgement:
    """Compare an annotation with the suggestions.

    Args:
        result: regions of the annotation, raw JSON.
        made_from_it: whether the annotator had these suggestions; a point that was drawn by hand is
            then a new one.
        class_control: name of the control that receives the class, if the project's configuration
            is known. The control of a suggested class takes precedence.

    Raises:
        Unusable: every point is on another image than the suggestions, or names none.
    """
    suggested, suggested_choice = read_suggestions(shown)
    to_name = next((region.get("to_name") for region in shown.result), None)
    drawn = read_regions(result, shown, to_name)
    verdicts = [
        _choice_verdict(suggested_choice, choice)
        for choice in _class_choices(suggested_choice, drawn, class_control)
    ]
    verdicts += _point_verdicts(_pairs(suggested, drawn, shown, made_from_it), drawn.objects, shown)
    return Judgement(tuple(verdicts), tuple(drawn.objects), tuple(drawn.unused))


# Points


def _pairs(
    suggested: Sequence[Point], drawn: Drawn, shown: Shown, made_from_it: bool
) -> list[Pair]:
    """Return the pairs to judge: suggestions in their order, then additions."""
    pairs = join(suggested, drawn.points, made_from_it=made_from_it, radius=GATE * shown.length)
    joined = {final for _, final in pairs if final}
    pairs += [(None, final) for final in drawn.points if final not in joined]
    # A suggestion whose correction is unreadable counts neither as kept nor as deleted.
    return [
        (point, final)
        for point, final in pairs
        if final or (point and point.region_id not in drawn.unreadable)
    ]


def _point_verdicts(
    pairs: Sequence[Pair], objects: Sequence[Object], shown: Shown
) -> Iterator[Verdict]:
    hits = _hits(pairs, objects, shown)
    for point, final in pairs:
        judged = final or point
        assert judged is not None, "a pair has a suggested or a final point"
        place = object_of(judged, objects)
        box = _box_of(place, objects, shown)
        length = max(box.width, box.height) if box else None
        displacement = math.hypot(final.x - point.x, final.y - point.y) if point and final else None
        yield Verdict(
            kind="point",
            verdict=_verdict(point, final, displacement, length or shown.length),
            number=point.number if point else None,
            region_id=(point or judged).region_id,
            suggested_label=point.label if point else None,
            final_label=final.label if final else None,
            score=point.score if point else None,
            suggested_x=point.x if point else None,
            suggested_y=point.y if point else None,
            final_x=final.x if final else None,
            final_y=final.y if final else None,
            displacement=displacement,
            length=length,
            area=box.width * box.height if box else None,
            object=place,
            suggested_hit=point in hits if point else None,
            final_hit=final in hits if final else None,
            suggested_visibility=point.visibility if point else None,
            final_visibility=final.visibility if final else None,
        )


def _verdict(
    point: Point | None, final: Point | None, displacement: float | None, length: float
) -> str:
    if point is None:
        return ADDED
    if final is None or displacement is None:
        return DELETED
    moved, relabelled = displacement > UNTOUCHED * length, point.label != final.label
    if moved:
        return MOVED_AND_RELABELLED if relabelled else MOVED
    return RELABELLED if relabelled else ACCEPTED


def _hits(pairs: Sequence[Pair], objects: Sequence[Object], shown: Shown) -> set[Point]:
    """Return the points with a partner within `NEAR` on the same object, as many as possible."""
    groups: dict[int | None, tuple[list[Point], list[Point]]] = {}
    for pair in pairs:
        for side, point in enumerate(pair):
            if point is not None:
                groups.setdefault(object_of(point, objects), ([], []))[side].append(point)
    hits: set[Point] = set()
    for place, (suggested, final) in groups.items():
        box = _box_of(place, objects, shown)
        length = max(box.width, box.height) if box else shown.length
        for row, column in match(suggested, final, NEAR * length):
            hits |= {suggested[row], final[column]}
    return hits


def object_of(point: Point, objects: Sequence[Object]) -> int | None:
    """Return the index of the object that a point belongs to.

    Its parent region, else the smallest object around it, else None.
    """
    around = []
    for index, each in enumerate(objects):
        if point.parent is not None and point.parent == each.region_id:
            return index
        box = each.box
        across = 0 <= centre_to_edge(point.x) - box.left <= box.width
        if across and 0 <= centre_to_edge(point.y) - box.top <= box.height:
            around.append((box.width * box.height, index))
    return min(around)[1] if around else None


def _box_of(place: int | None, objects: Sequence[Object], shown: Shown) -> Box | None:
    """Return the box of an object, else the box that the task came with, else None."""
    return shown.task_box if place is None else objects[place].box


# The class


def _class_choices(
    suggested: Region | None, drawn: Drawn, class_control: str | None
) -> list[Region | None]:
    """Return the final choice of the class, None where the suggested one was removed.

    Empty if no class was suggested and none was chosen. Every other choice becomes unused.
    """
    control = class_control if suggested is None else suggested.get("from_name")
    same: list[Region] = []
    for choice in drawn.choices:
        if control is None and suggested is None:
            drawn.unused.append(UNKNOWN_CHOICE)
        elif choice.get("from_name") != control:
            drawn.unused.append("a choice about something else")
        elif same:
            drawn.unused.append("a further choice of the class")
        else:
            same.append(choice)
    return [*same] if same or suggested is None else [None]


def _choice_verdict(suggested: Region | None, final: Region | None) -> Verdict:
    region = suggested or final
    assert region is not None, "one of the two is given"
    before, after = _choice(suggested), _choice(final)
    if suggested is None:
        verdict = ADDED
    elif final is None or not after:
        verdict, after = DELETED, None
    else:
        verdict = ACCEPTED if before == after else RELABELLED
    score = suggested.get("score") if suggested else None
    return Verdict(
        kind="choice",
        verdict=verdict,
        number=0 if suggested else None,
        region_id=text_of(region.get("id")),
        suggested_label=before,
        final_label=after,
        score=float(score) if isinstance(score, int | float) and math.isfinite(score) else None,
    )


def _choice(region: Region | None) -> str | None:
    """Return what was chosen; several choices in alphabetical order."""
    paths = chosen_paths(region.get("value")) if region else []
    return text_of(text_of_paths(paths)) or "" if paths else None
