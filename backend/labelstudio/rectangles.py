"""The rectangles of a task: where its objects are, and how a prediction repeats them.

A prediction becomes an annotation of its own in Label Studio's editor. So it repeats the rectangles
of the task that are regions, with ids of its own, and each point names its rectangle as its parent.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.regions import RECTANGLES, RegionError, box_from, newest_first
from backend.labelstudio.schemas import BOX_FIELD, BoxSources
from backend.labelstudio.shapes import Json
from model.keypoint import Box

MOST_OBJECTS = 30  # on an image: each takes the network's time
LABELS = "labels"  # type of the result that labels a rectangle with the same id


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle around an object.

    Attributes:
        box: px, clipped to the image.
        regions: its results in Label Studio's JSON; none where the task's data names the box.
    """

    box: Box
    regions: tuple[Json, ...] = ()


def rectangles_of(
    sources: BoxSources, control: KeypointControl, width: int, height: int
) -> list[Rectangle]:
    """Return the rectangles of a task, the first of which `box_of` returns.

    Those in the field `box` of the task's data; else those of the newest draft that has one, else
    of the newest annotation, else of the newest prediction. Unusable ones are left out.

    Args:
        control: names the image.
        width, height: of the upright image, px.
    """
    found = []
    for value, regions in _given(sources, control.to_name):
        try:
            found.append(Rectangle(box_from(value, width, height), regions))
        except RegionError:
            continue
    return found[:MOST_OBJECTS]


def _given(sources: BoxSources, to_name: str) -> Iterator[tuple[object, tuple[Json, ...]]]:
    named = sources.data.get(BOX_FIELD)
    if named is not None:
        yield from ((box, ()) for box in (named if isinstance(named, list) else [named]))
        return
    for drawing in newest_first(sources):
        regions = [each for each in drawing.result if each.get("to_name") == to_name]
        rectangles = [each for each in regions if each.get("type") in RECTANGLES]
        for each in rectangles:
            same = [other for other in regions if _labels_it(other, each)]
            yield each.get("value"), (each, *same)
        if rectangles:
            return


def _labels_it(region: Json, rectangle: Json) -> bool:
    return region.get("type") == LABELS and region.get("id") == rectangle.get("id") is not None


def repeated(rectangles: Sequence[Rectangle], key: str) -> tuple[list[Json], list[str | None]]:
    """Return the results that repeat rectangles in a prediction, and the id of each rectangle.

    Args:
        key: identifies the prediction; the same key gives the same ids.

    Returns:
        For a rectangle that is no region, there is no result, and its id is None.
    """
    results: list[Json] = []
    ids: list[str | None] = []
    for number, rectangle in enumerate(rectangles):
        digest = hashlib.sha256(f"{key} rectangle {number}".encode()).hexdigest()[:10]
        ids.append(digest if rectangle.regions else None)
        left_out = ("origin", "parentID", "score")
        results += [
            {name: value for name, value in each.items() if name not in left_out} | {"id": digest}
            for each in rectangle.regions
        ]
    return results, ids
