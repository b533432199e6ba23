"""What an annotation teaches: the named points of each object, and the labels that it lacks."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from backend.learning.records import WHOLE_IMAGE, Lesson, given_part, object_number
from model.keypoint import Box, Detection, Visibility


@dataclass(frozen=True, slots=True)
class FinalPoint:
    """A point of an annotation, px.

    Attributes:
        object: index of the rectangle that it belongs to; None for none.
        visibility: what a choice about it says; None if there is none.
    """

    label: str
    x: float
    y: float
    object: int | None
    visibility: Visibility | None = None


@dataclass(frozen=True, slots=True)
class FinalState:
    """The state of an annotation that counts.

    Attributes:
        image_url, detection: of the prediction that it was compared with.
        is_drawing: whether there is none, so that `detection` holds what the editor knew alone.
        box: the rectangle that the task named when it was predicted; None if it named none.
        objects: the rectangles that the annotator drew.
        image_number: which of several images of the task it is about, from 0.
    """

    task_id: int
    image_url: str
    detection: Detection
    box: Box | None
    objects: Sequence[Box]
    points: Sequence[FinalPoint]
    is_drawing: bool = False
    image_number: int = 0


def lessons_of(state: FinalState, labels: Sequence[str]) -> Iterator[Lesson]:
    """Yield what a state says about each object that has a named point.

    A label that an object has more than once names no single place, so nothing is said about it. If
    there are rectangles, points outside all of them are left out.

    Args:
        labels: those of the project's configuration for this image. Points with other labels count
            as well, because a label that was removed may come back.
    """
    groups: dict[int, list[FinalPoint]] = {}
    for point in state.points:
        place = WHOLE_IMAGE if point.object is None else point.object
        groups.setdefault(place, []).append(point)
    if state.objects:
        groups.pop(WHOLE_IMAGE, None)
    for place, group in sorted(groups.items()):
        points = _named_once(group)
        if points:
            used = {point.label for point in group}
            lesson = Lesson(
                object=object_number(place, state.image_number),
                task_id=state.task_id,
                image_url=state.image_url,
                width=state.detection.width,
                height=state.detection.height,
                box=given_part(state.box, points, state.detection)
                if place == WHOLE_IMAGE
                else state.objects[place],
                class_name=state.detection.class_name,
                points=points,
                absent=tuple(label for label in labels if label not in used),
                drawn=None,
                visibility={
                    point.label: point.visibility
                    for point in group
                    if point.visibility and point.label in points
                },
            )
            # A label that is configured later makes no other drawing.
            drawn = replace(lesson, absent=()).digest if state.is_drawing else None
            yield replace(lesson, drawn=drawn)


def _named_once(points: Sequence[FinalPoint]) -> Mapping[str, tuple[float, float]]:
    counts = Counter(point.label for point in points)
    return {
        point.label: (point.x, point.y)
        for point in sorted(points, key=lambda point: point.label)
        if counts[point.label] == 1 and point.label
    }
