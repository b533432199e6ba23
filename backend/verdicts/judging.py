"""What an annotator made of the suggestions: one verdict a point, and one for the class.

Points are joined by region id. Where ids are missing, or none is shared, they are paired one to
one by distance, equal labels first. Where a point lies decides, not what its `origin` says.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.regions import RECTANGLES, RegionError, to_box, to_keypoint
from model.keypoint import Box

# All three are shares of the longer side of the object where its rectangle is known, else of the
# image, so that nothing depends on the number of pixels.
UNTOUCHED = 1e-5  # browsers hand percentages back with rounding
NEAR = 0.05  # a suggestion that lies so near counts as right; α of the evaluation
GATE = 0.1  # points farther apart are never paired for want of an id

# Of object keypoint similarity: the same for every label, as none has been measured for ours.
SIGMA = 0.05

ACCEPTED = "accepted"
MOVED = "moved"
RELABELLED = "relabelled"
MOVED_AND_RELABELLED = "moved_and_relabelled"
DELETED = "deleted"
ADDED = "added"
VERDICTS = (ACCEPTED, MOVED, RELABELLED, MOVED_AND_RELABELLED, DELETED, ADDED)

POINTS = ("keypointlabels", "keypoint")
MARGIN = 1e-6  # px that rounding may put a point beyond the image's border

Region = Mapping[str, Any]


class Unusable(ValueError):
    """An annotation that cannot be compared with what was suggested; says why."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What was suggested for a task, or would have been.

    Attributes:
        result: regions as Label Studio got them.
        width, height: of the upright image, px.
        box: the part of it that was looked at.
    """

    result: Sequence[Region]
    width: float
    height: float
    box: Box


@dataclass(frozen=True, slots=True)
class Object:
    """A rectangle that the annotator drew round something."""

    region_id: str
    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one suggestion, or that something was added.

    Attributes:
        kind: "point" or "choice".
        number: place among the suggestions of its kind, from 0; None for what was added.
        x, y: px; (0, 0) is the centre of the first pixel. None for choices, and where there is no
            such point.
        displacement: between suggestion and final point, px.
        length: longer side of the object that the point belongs to, px; None where unknown.
        area: of that object, px².
        object: its place in `Judgement.objects`; None for the task's own box, or no object.
        suggested_hit, final_hit: whether the point has a partner on the other side within `NEAR`,
            one to one, whatever the ids and labels say; None where there is no such point.
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


@dataclass(frozen=True, slots=True)
class Judgement:
    """All that an annotation says about the suggestions.

    Attributes:
        unused: for each region that says nothing, the reason.
    """

    verdicts: tuple[Verdict, ...]
    objects: tuple[Object, ...]
    unused: tuple[str, ...]


@dataclass(slots=True)
class _Point:
    region_id: str | None
    x: float
    y: float
    label: str
    score: float | None
    by_hand: bool = False
    parent: str | None = None
    number: int | None = None


@dataclass(slots=True)
class _Drawn:
    """The regions of an annotation, sorted."""

    points: list[_Point] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    choices: list[Region] = field(default_factory=list)
    objects: list[Object] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def judge(shown: Shown, result: Sequence[object], *, made_from_it: bool) -> Judgement:
    """Compare an annotation with what was suggested.

    Args:
        result: regions of the annotation, as Label Studio has them.
        made_from_it: Label Studio says that the annotation began as this prediction.

    Raises:
        Unusable: every point is on another image than the suggestions.
    """
    suggested, suggested_choice = _suggestions(shown)
    to_name = next((region.get("to_name") for region in shown.result), None)
    drawn = _sort(result, shown, to_name)
    pairs = _join(suggested, drawn.points, made_from_it, _base_length(shown))
    verdicts = [
        _choice_verdict(suggested_choice, choice)
        for choice in _class_choices(suggested_choice, drawn)
    ]
    joined = {id(final) for _, final in pairs if final}
    pairs += [(None, final) for final in drawn.points if id(final) not in joined]
    # What was made of these cannot be told, so that they count neither as kept nor as deleted.
    pairs = [
        (point, final)
        for point, final in pairs
        if final or (point and point.region_id not in drawn.unreadable)
    ]
    verdicts += _point_verdicts(pairs, drawn.objects, shown)
    return Judgement(tuple(verdicts), tuple(drawn.objects), tuple(drawn.unused))


# Reading regions


def _suggestions(shown: Shown) -> tuple[list[_Point], Region | None]:
    drawn = _sort(shown.result, shown, None)
    for number, point in enumerate(drawn.points):
        point.number = number
    return drawn.points, next(iter(drawn.choices), None)


def _sort(result: Sequence[object], shown: Shown, to_name: object) -> _Drawn:
    """Points, choices and rectangles on one image; of everything else, why it is not used."""
    drawn = _Drawn()
    regions = [region for region in result if isinstance(region, Mapping)]
    drawn.unused += ["a region that is not an object"] * (len(result) - len(regions))
    kinds = {region.get("type") for region in regions}
    names = {region.get("to_name") for region in regions if region.get("type") in POINTS}
    if to_name is not None and names and to_name not in names:
        raise Unusable(
            "every point is on another image than the suggestions: the configuration was changed "
            "in between"
        )
    labels = {region.get("id"): region for region in regions if region.get("type") == "labels"}
    plain = {region.get("id") for region in regions if region.get("type") == "keypoint"}
    of_points = {region.get("id") for region in regions if region.get("type") in POINTS} - {None}
    for region in regions:
        kind = region.get("type")
        if to_name is not None and region.get("to_name") != to_name:
            drawn.unused.append("a region on another image")
        elif kind in POINTS:
            _read_point(region, labels.get(region.get("id")), shown, drawn)
        elif kind == "choices" and region.get("id") in of_points:
            drawn.unused.append("a choice about a single point")
        elif kind == "choices":
            drawn.choices.append(region)
        elif kind in RECTANGLES:
            _read_rectangle(region, labels.get(region.get("id")), shown, drawn)
        elif kind == "labels" and (region.get("id") in plain or "rectangle" in kinds):
            continue  # names a region of the same id
        else:
            drawn.unused.append(f"a region of another tool ({_short(kind)})")
    return drawn


def _read_point(region: Region, labels: Region | None, shown: Shown, drawn: _Drawn) -> None:
    region_id = _text(region.get("id"))
    try:
        # The browser's idea of the image's size gives way to that of the decoded image.
        size = {"original_width": shown.width, "original_height": shown.height}
        keypoint = to_keypoint({**region, **size})
        if not _inside(keypoint.x, shown.width) or not _inside(keypoint.y, shown.height):
            raise RegionError("outside")
    except RegionError as error:
        outside = str(error) == "outside"
        drawn.unused.append(
            "a point outside the image" if outside else "a point without usable numbers"
        )
        if region_id is not None:
            drawn.unreadable.add(region_id)
        return
    label = keypoint.label
    if labels is not None and region.get("type") == "keypoint":
        label = _first(labels.get("value"), "labels") or label
    score = keypoint.score if region.get("score") is not None else None
    by_hand, parent = region.get("origin") == "manual", _text(region.get("parentID"))
    drawn.points.append(_Point(region_id, keypoint.x, keypoint.y, label, score, by_hand, parent))


def _read_rectangle(region: Region, labels: Region | None, shown: Shown, drawn: _Drawn) -> None:
    try:
        box = to_box(region, shown.width, shown.height)
    except RegionError:
        drawn.unused.append("a rectangle without usable numbers")
        return
    label = _first(region.get("value"), "rectanglelabels")
    if not label and labels is not None:
        label = _first(labels.get("value"), "labels")
    drawn.objects.append(Object(_text(region.get("id")) or "", label, box))
    drawn.unused.append("a rectangle, of which only the size counts, as the object's")


def _inside(position: float, side: float) -> bool:
    return -0.5 - MARGIN <= position <= side - 0.5 + MARGIN


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None


def _first(value: object, name: str) -> str:
    named = value.get(name) if isinstance(value, Mapping) else None
    return str(named[0]) if isinstance(named, list) and named else ""


def _short(value: object) -> str:
    return ascii(value)[:40] if not isinstance(value, str) else value[:40]


# Joining points


Pair = tuple[_Point | None, _Point | None]


def _join(
    suggested: Sequence[_Point], final: Sequence[_Point], made_from_it: bool, length: float
) -> list[Pair]:
    """Each suggestion with the final point that it became, or with None."""
    by_id: dict[str, _Point] = {}
    for point in final:
        if point.region_id is not None:
            by_id.setdefault(point.region_id, point)
    partner = {
        index: by_id.pop(point.region_id)
        for index, point in enumerate(suggested)
        if point.region_id in by_id
    }
    taken = {id(point) for point in partner.values()}
    loose = [
        point
        for point in final
        if id(point) not in taken
        and (point.region_id is None or (not partner and not (made_from_it and point.by_hand)))
    ]
    free = [index for index in range(len(suggested)) if index not in partner]
    for same_label in (True, False):
        for index, point in _nearest(suggested, free, loose, length, same_label):
            partner[index] = point
            free.remove(index)
            loose = [each for each in loose if each is not point]
    return [(point, partner.get(index)) for index, point in enumerate(suggested)]


def _nearest(
    suggested: Sequence[_Point],
    free: Sequence[int],
    loose: Sequence[_Point],
    length: float,
    same_label: bool,
) -> Iterator[tuple[int, _Point]]:
    labels = sorted({suggested[index].label for index in free}) if same_label else [None]
    for label in labels:
        first = [index for index in free if label is None or suggested[index].label == label]
        second = [point for point in loose if label is None or point.label == label]
        near = _match([suggested[index] for index in first], second, GATE * length)
        yield from [(first[row], second[column]) for row, column in near]


def _match(first: Sequence[_Point], second: Sequence[_Point], radius: float) -> NDArray[np.int64]:
    # SciPy takes its time to load, and the web process starts with this module.
    from model.matching import match_points

    return match_points(_positions(first), _positions(second), radius)


def _positions(points: Iterable[_Point]) -> NDArray[np.float64]:
    return np.array([(point.x, point.y) for point in points], np.float64).reshape(-1, 2)


# Verdicts


def _point_verdicts(
    pairs: Sequence[Pair], objects: Sequence[Object], shown: Shown
) -> Iterator[Verdict]:
    homes = [_home(final or point, objects) for point, final in pairs]
    suggested_hits, final_hits = _hits(pairs, objects, shown)
    for index, (point, final) in enumerate(pairs):
        box = _object_box(homes[index], objects, shown)
        length = max(box.width, box.height) if box else None
        displacement = math.hypot(final.x - point.x, final.y - point.y) if point and final else None
        region = point or final
        assert region is not None
        yield Verdict(
            kind="point",
            verdict=_verdict(point, final, displacement, length or _base_length(shown)),
            number=point.number if point else None,
            region_id=region.region_id,
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
            object=homes[index],
            suggested_hit=id(point) in suggested_hits if point else None,
            final_hit=id(final) in final_hits if final else None,
        )


def _verdict(
    point: _Point | None, final: _Point | None, displacement: float | None, length: float
) -> str:
    if point is None:
        return ADDED
    if final is None or displacement is None:
        return DELETED
    moved, relabelled = displacement > UNTOUCHED * length, point.label != final.label
    if moved:
        return MOVED_AND_RELABELLED if relabelled else MOVED
    return RELABELLED if relabelled else ACCEPTED


def _hits(
    pairs: Sequence[Pair], objects: Sequence[Object], shown: Shown
) -> tuple[set[int], set[int]]:
    """Points with a partner within `NEAR`, as many as possible; each object by its own size."""
    groups: dict[int | None, tuple[list[_Point], list[_Point]]] = {}
    for pair in pairs:
        for side, point in enumerate(pair):
            if point is not None:
                groups.setdefault(_home(point, objects), ([], []))[side].append(point)
    suggested_hits: set[int] = set()
    final_hits: set[int] = set()
    for home, (first, second) in groups.items():
        box = _object_box(home, objects, shown)
        length = max(box.width, box.height) if box else _base_length(shown)
        for row, column in _match(first, second, NEAR * length):
            suggested_hits.add(id(first[row]))
            final_hits.add(id(second[column]))
    return suggested_hits, final_hits


def _home(point: _Point | None, objects: Sequence[Object]) -> int | None:
    """The object that a point belongs to: its parent region, else the smallest round it."""
    assert point is not None
    round_it = []
    for index, each in enumerate(objects):
        if point.parent is not None and point.parent == each.region_id:
            return index
        box = each.box
        across = 0 <= point.x + 0.5 - box.left <= box.width
        if across and 0 <= point.y + 0.5 - box.top <= box.height:
            round_it.append((box.width * box.height, index))
    return min(round_it)[1] if round_it else None


def _object_box(home: int | None, objects: Sequence[Object], shown: Shown) -> Box | None:
    """Of the object, else the box that the task came with, else None."""
    if home is not None:
        return objects[home].box
    box = shown.box
    covers_all = box.width >= shown.width and box.height >= shown.height
    return None if covers_all else box


def _base_length(shown: Shown) -> float:
    box = _object_box(None, (), shown)
    return max(box.width, box.height) if box else max(shown.width, shown.height)


def _class_choices(suggested: Region | None, drawn: _Drawn) -> list[Region | None]:
    """The annotation's answer to the suggested class; where none was suggested, every choice."""
    if suggested is None:
        return list(drawn.choices)
    same = [each for each in drawn.choices if each.get("from_name") == suggested.get("from_name")]
    drawn.unused += ["a choice about something else"] * (len(drawn.choices) - len(same[:1]))
    return [same[0] if same else None]


def _choice_verdict(suggested: Region | None, final: Region | None) -> Verdict:
    region = suggested or final
    assert region is not None
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
        region_id=_text(region.get("id")),
        suggested_label=before,
        final_label=after,
        score=float(score) if isinstance(score, int | float) and math.isfinite(score) else None,
    )


def _choice(region: Region | None) -> str | None:
    """What was chosen; several choices in alphabetical order."""
    value = region.get("value") if region else None
    chosen = value.get("choices") if isinstance(value, Mapping) else None
    return ", ".join(sorted(map(str, chosen))) if isinstance(chosen, list) and chosen else None
