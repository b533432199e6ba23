"""Group points into instances with one slot for each label, as formats of keypoints want them.

Slots never shift between annotators. There is one slot for each label of the projects' labelling
configurations, in their order, used or not, and after them one for each other label that occurs.
A label that occurs several times on one object cannot fill one slot: on that image each of its
points, from every annotator, is an instance of its own. So whoever deletes one of five equal
labels leaves four instances, each equal to that of the annotator who kept it.

An instance has the box of its rectangle, else the box that the task came with, else the whole
image, which is also the size that every figure of agreement rests on.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from backend.agreement.exports.records import (
    DrawnBox,
    ExportedAnnotation,
    ExportedPoint,
    ExportedTask,
)
from model.keypoint import Box


@dataclass(frozen=True, slots=True)
class Instance:
    """One object, or one point of a label that occurs several times on it.

    Attributes:
        object: place of the rectangle in the annotation's `objects`; None for none.
        label: of the rectangle.
        points: at most one of each label.
    """

    object: int | None
    label: str | None
    box: Box
    box_of: Literal["rectangle", "task", "image"]
    points: Sequence[ExportedPoint]


@dataclass(slots=True)
class Survey:
    """What a first pass over the annotations finds.

    Attributes:
        labels: of the points, in the order of their first occurrence.
        left_out: number of annotations that cannot be exported.
        most_instances: on one annotation.
    """

    labels: dict[str, None] = field(default_factory=dict)
    left_out: int = 0
    most_instances: int = 0

    def watch(self, tasks: Iterable[ExportedTask]) -> Iterator[ExportedTask]:
        """Yield the tasks, and take note of them."""
        for task in tasks:
            self.left_out += task.left_out
            for annotation, found in instances_of(task):
                self.labels |= dict.fromkeys(each.label for each in annotation.points)
                self.most_instances = max(self.most_instances, len(found))
            yield task


def slots(configured: Iterable[str], used: Iterable[str]) -> list[str]:
    """Return the label of each slot: the configured ones in their order, then others, sorted."""
    named = dict.fromkeys(configured)
    return [*named, *sorted(set(used) - set(named))]


def instances_of(task: ExportedTask) -> Iterator[tuple[ExportedAnnotation, list[Instance]]]:
    """Yield each annotation of a task with its instances, rectangles first."""
    repeated = _repeated_labels(task.annotations)
    for annotation in task.annotations:
        places: list[int | None] = [*range(len(annotation.objects)), None]
        found = [each for place in places for each in _instances_at(annotation, place, repeated)]
        yield annotation, found


def _repeated_labels(annotations: Iterable[ExportedAnnotation]) -> set[str]:
    """Return the labels that occur several times on one object of one annotation."""
    found: set[str] = set()
    for annotation in annotations:
        counted = Counter((each.object, each.label) for each in annotation.points)
        found |= {label for (_, label), count in counted.items() if count > 1}
    return found


def _instances_at(
    annotation: ExportedAnnotation, place: int | None, repeated: set[str]
) -> Iterator[Instance]:
    """Yield the instances on one rectangle, or of the points outside all of them."""
    points = [each for each in annotation.points if each.object == place]
    drawn = None if place is None else annotation.objects[place]
    single = [each for each in points if each.label not in repeated]
    if single or (drawn and not points):
        yield _instance(annotation, place, drawn, single)
    for each in points:
        if each.label in repeated:
            yield _instance(annotation, place, drawn, [each])


def _instance(
    annotation: ExportedAnnotation,
    place: int | None,
    drawn: DrawnBox | None,
    points: Sequence[ExportedPoint],
) -> Instance:
    if drawn is not None:
        return Instance(place, drawn.label, drawn.box, "rectangle", points)
    if annotation.task_box is not None:
        return Instance(None, None, annotation.task_box, "task", points)
    whole = Box(0, 0, annotation.width, annotation.height)
    return Instance(None, None, whole, "image", points)
