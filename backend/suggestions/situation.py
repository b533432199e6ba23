"""What an annotator who has just placed something sees, and which object it is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.database.connection import now
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.regions import RECTANGLES, Region
from backend.labelstudio.schemas import Task
from backend.labelstudio.shapes import Json
from backend.suggestions.drawing import (
    ObjectHere,
    PlacedPoint,
    Size,
    boxes_of,
    drawn_so_far,
    object_at,
    points_of,
    rectangle_id,
    size_of,
)
from backend.suggestions.earlier_answers import EarlierAnswers, earlier_answers
from backend.suggestions.interactive_records import InteractiveAnswer, PlacedSoFar
from model.keypoint import Box

POINTS = ("keypointlabels", "keypoint", "labels")


@dataclass(frozen=True)
class Situation:
    """What is on the image, and what was just placed there.

    Attributes:
        repeated: the regions that an answer has to repeat, raw, by id: what was just placed, and
            what was placed to get the suggestions that are still undecided.
        here: the object that the last of them is about.
        parent: id of the rectangle around it; None if there is none.
        anchor: the point just placed; None if a rectangle was.
        points: everything that is placed on the image.
        earlier: what became of earlier answers.
    """

    repeated: Sequence[Json]
    size: Size
    here: ObjectHere
    parent: str | None
    anchor: PlacedPoint | None
    points: Sequence[PlacedPoint]
    earlier: EarlierAnswers

    def on_object(self, points: Sequence[PlacedPoint]) -> list[PlacedPoint]:
        """Return those of some points that lie on the object."""
        return [point for point in points if self.here.has(point.x, point.y)]

    def placed_so_far(self, task_box: Box | None) -> PlacedSoFar:
        """Return what a worker needs to know; `task_box` is the box that the task came with."""
        on_object = self.on_object(self.points)
        anchor = self.anchor
        return PlacedSoFar(
            self.size.width,
            self.size.height,
            self.here.box or task_box,
            {each.label: (each.x, each.y) for each in on_object if each.confirmed and each.label},
            None if anchor is None else (anchor.x, anchor.y),
            list(dict.fromkeys(str(each.get("id")) for each in self.repeated)),
        )


def placed_on(context: Json, control: KeypointControl) -> KeypointControl:
    """Return the control on the image where something was just placed.

    Args:
        control: of the first image, which counts where nothing usable was placed.
    """
    result = context.get("result")
    for region in reversed(result if isinstance(result, list) else []):
        own = control.on(region.get("to_name")) if isinstance(region, dict) else None
        if own is not None:
            return own
    return control


def answers_about(answers: Sequence[InteractiveAnswer], url: str) -> list[InteractiveAnswer]:
    """Return the answers about one image of a task, with those that concern all of its images."""
    return [each for each in answers if each.image_url == url or not each.request.prompts]


def undecided_on(
    control: KeypointControl, task: Task, answers: Sequence[InteractiveAnswer]
) -> list[Json]:
    """Return what an answer about another image has to repeat of this one.

    Args:
        control: on this image.
        answers: of the task, oldest first.
    """
    url = task.image_url(control.image_path)
    if url is None:
        return []
    drawn = drawn_so_far(task, (), control.to_name, size_of(()))
    earlier = earlier_answers(answers_about(answers, url), drawn, now())
    return [*earlier.prompts.values(), *earlier.undecided.values()]


def prompts_of(context: Json, control: KeypointControl, prompt_only: frozenset[str]) -> list[Json]:
    """Return the points and rectangles on the image that an annotator has just placed, raw.

    A point of a control that exists for prompts alone becomes one of the control for keypoints if
    that has its label. Places that the annotator marked as wrong are left out.
    """
    result = context.get("result")
    found = []
    for region in result if isinstance(result, list) else []:
        if not isinstance(region, dict) or region.get("to_name") != control.to_name:
            continue
        if region.get("is_positive") is False or region.get("type") not in (*RECTANGLES, *POINTS):
            continue
        found.append(
            _of_control(region, control) if region.get("from_name") in prompt_only else region
        )
    return found


def _of_control(region: Json, control: KeypointControl) -> Json:
    value = region.get("value")
    labels = value.get("keypointlabels") if isinstance(value, Mapping) else None
    label = control.find_label(str(labels[0])) if isinstance(labels, list) and labels else None
    if value is None or label is None or control.plain:
        return region
    return {
        **region,
        "from_name": control.from_name,
        "value": {**value, "keypointlabels": [label]},
    }


def situation_of(
    task: Task,
    prompts: Sequence[Json],
    control: KeypointControl,
    prompt_only: frozenset[str],
    answers: Sequence[InteractiveAnswer],
) -> Situation | None:
    """Return what an annotator sees who has just placed something.

    Args:
        prompts: what was placed, the newest last.
        prompt_only: names of the controls whose regions do not stay.
        answers: of this task, oldest first.

    Returns:
        None if nothing usable was placed.
    """
    to_name, size = control.to_name, size_of(prompts)
    placed, rectangles = points_of(prompts, to_name, size), boxes_of(prompts, to_name, size)
    if not placed and not rectangles:
        return None
    drawn = drawn_so_far(task, prompts, to_name, size)
    earlier = earlier_answers(answers, drawn, now())
    others = [*earlier.accepted.values(), *earlier.prompts.values()]
    known = (*drawn.points, *points_of(others, to_name, size), *placed)
    points = list({point.region_id: point for point in known}.values())
    boxes = list(dict.fromkeys([*drawn.boxes, *rectangles]))
    is_box = prompts[-1].get("type") in RECTANGLES and bool(rectangles)
    anchor = None if is_box or not placed else placed[-1]
    here = object_at(anchor, points, boxes) if anchor else ObjectHere(rectangles[-1], None)
    kept = [each for each in prompts if each.get("from_name") not in prompt_only]
    ids = {each.get("id") for each in kept}
    repeated = [each for key, each in earlier.prompts.items() if key not in ids]
    regions = [*repeated, *kept, *(drawn.regions or {}).values()]
    parent = rectangle_id(here.box, regions, to_name, size) if here.box else None
    return Situation([*repeated, *kept], size, here, parent, anchor, points, earlier)


def is_on_object(situation: Situation, region: Region, to_name: str) -> bool:
    """Return whether the point of a region lies on the object."""
    return bool(situation.on_object(points_of([region], to_name, situation.size)))
