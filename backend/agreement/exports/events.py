"""Read from a stored event what the verdict log does not keep of an annotation.

These are the regions as Label Studio sent them, with which points are hidden, and the data of the
task. An annotation that only a pull brought has no event.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from backend.agreement.exports.queries import ExportQueries
from backend.agreement.exports.records import OCCLUDED, VISIBLE
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.regions import RegionError, to_keypoint
from backend.labelstudio.shapes import one_or_many
from backend.labelstudio.visibility import WORDS

Json = Mapping[str, Any]

FLAGS = {"occluded": OCCLUDED, "visible": VISIBLE}
# What a choice about a single point may say of it, in lower case.
CHOICES = {word: FLAGS[meaning] for word, meaning in WORDS.items()}
CHOICES |= {"1": OCCLUDED, "2": VISIBLE}


class Events:
    """Stored events; the last one that was read is kept, as one may bring many annotations."""

    def __init__(self, queries: ExportQueries) -> None:
        self._queries = queries
        self._last: tuple[int, dict[str, Any]] | None = None

    def annotation(self, event_id: int, annotation_id: int) -> Json:
        """Return the raw JSON of an annotation; empty if the event has none with this id."""
        return _with_id(self._body(event_id).get("annotation"), annotation_id)

    def task_data(self, event_id: int, task_id: int) -> Json:
        """Return the raw data of a task; empty if the event does not have it."""
        data = _with_id(self._body(event_id).get("task"), task_id).get("data")
        return data if isinstance(data, Mapping) else {}

    def _body(self, event_id: int) -> dict[str, Any]:
        if self._last is None or self._last[0] != event_id:
            self._last = event_id, self._queries.event_body(event_id)
        return self._last[1]


def _with_id(value: object, wanted: int) -> Json:
    found = (each for each in one_or_many(value) if isinstance(each, Mapping))
    return next((each for each in found if each.get("id") == wanted), {})


def regions_of(annotation: Json) -> list[Json] | None:
    """Return an annotation's regions; None if it has no list of them."""
    result = annotation.get("result")
    if not isinstance(result, list):
        return None
    return [each for each in result if isinstance(each, Mapping)]


def regions_on(
    regions: Sequence[Json], control: KeypointControl | None, others: Collection[str]
) -> Sequence[Json]:
    """Return the regions on the image of a control.

    All of them if they name only one image, as the configuration may call it otherwise by now; but
    none of another image of the task.

    Args:
        control: None if it is unknown: of several images, none is taken for another then.
        others: names of the task's other images.
    """
    names = {each.get("to_name") for each in regions if image_size([each]) is not None}
    if len(names) < 2 and names.isdisjoint(others):
        return regions
    return [each for each in regions if control and each.get("to_name") == control.to_name]


def image_size(regions: Sequence[Json]) -> tuple[float, float] | None:
    """Return the image's width and height, px, from the first region that has them."""
    for region in regions:
        size: list[Any] = [region.get(side) for side in ("original_width", "original_height")]
        if all(map(_is_positive, size)):
            return float(size[0]), float(size[1])
    return None


def visibilities(
    regions: Sequence[Json], width: float, height: float
) -> dict[tuple[float, float], int]:
    """Return the position (x, y; px) of each point that has a visibility of its own → its flag.

    A choice about the point decides, else the region's flag `hidden`, which clients of Label
    Studio's API may set. Positions are those of the verdict log, which computes them the same way.
    """
    size = {"original_width": width, "original_height": height}
    chosen = _choices_about_points(regions)
    found = {}
    for region in regions:
        flag = chosen.get(region.get("id"), OCCLUDED if region.get("hidden") is True else None)
        if flag is None or region.get("type") not in ("keypointlabels", "keypoint"):
            continue
        try:
            point = to_keypoint({**region, **size})
        except RegionError:
            continue  # such a point is in no export
        found[point.x, point.y] = flag
    return found


def _choices_about_points(regions: Sequence[Json]) -> dict[object, int]:
    found: dict[object, int] = {}
    for region in regions:
        value = region.get("value")
        chosen = value.get("choices") if isinstance(value, Mapping) else None
        for choice in chosen if isinstance(chosen, list) else []:
            flag = CHOICES.get(str(choice).strip().casefold())
            if flag is not None and isinstance(region.get("id"), str):
                found[region["id"]] = flag
    return found


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
