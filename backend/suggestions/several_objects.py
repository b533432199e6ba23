"""Find the landmarks of several objects on one image: a set for each box."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from backend.learning.named_points import Landmarks
from model.keypoint import Box, NamedKeypoint


@dataclass(frozen=True, slots=True)
class FoundObjects:
    """The landmarks of all objects.

    Attributes:
        points: those of the first object, then those of the second, and so on.
        counts: how many each has.
        costs: by which they are shown; see `learning.records.Step`.
    """

    points: tuple[NamedKeypoint, ...]
    counts: tuple[int, ...]
    costs: Mapping[str, float] = field(default_factory=dict)


def landmarks_of_each(
    find: Callable[[Box | None], Landmarks], boxes: Sequence[Box | None]
) -> FoundObjects:
    """Find the landmarks in each box.

    Args:
        find: returns the landmarks in a rectangle; for None, of an object without one.
        boxes: one or more.
    """
    found = [find(box) for box in boxes]
    return FoundObjects(
        tuple(point for each in found for point in each.points),
        tuple(len(each.points) for each in found),
        found[-1].costs,
    )
