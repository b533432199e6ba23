"""The objects of a prediction: which of its landmarks belong to which rectangle of the task."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from backend.labelstudio.rectangles import Rectangle
from backend.labelstudio.shapes import Json
from model.keypoint import Box, NamedKeypoint


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of a prediction, and how many of its landmarks belong to it, in their order."""

    rectangle: Rectangle
    landmarks: int


def objects_to_json(objects: Sequence[StoredObject]) -> list[Json]:
    """Convert objects to what is stored."""
    return [
        {
            "box": asdict(each.rectangle.box),
            "regions": list(each.rectangle.regions),
            "landmarks": each.landmarks,
        }
        for each in objects
    ]


def objects_from_json(stored: Sequence[Json]) -> list[StoredObject]:
    """Inverse of `objects_to_json`."""
    return [
        StoredObject(Rectangle(Box(**each["box"]), tuple(each["regions"])), each["landmarks"])
        for each in stored
    ]


def landmarks_by_object(
    named: Sequence[NamedKeypoint], objects: Sequence[StoredObject]
) -> Iterator[tuple[int | None, Sequence[NamedKeypoint]]]:
    """Yield the landmarks of each object with its number; of no object, with None.

    Args:
        named: those of the first object, then those of the second, and so on.
    """
    if not objects:
        yield None, named
    start = 0
    for number, each in enumerate(objects):
        yield number, named[start : start + each.landmarks]
        start += each.landmarks
