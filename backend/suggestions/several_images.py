"""Tasks with several images, each with its control for keypoints: one prediction, a detection each.

What a prediction keeps of its task names the images. The first of them is that of the row in the
table of predictions, as if it were the only one; `prediction_images` has the others. A `view` of a
row is about one image, and everything that knows one image alone is given a view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.regions import RECTANGLES
from backend.labelstudio.schemas import BOX_FIELD, BoxSources, Task
from backend.labelstudio.shapes import Json
from backend.suggestions.listed import LISTED
from backend.suggestions.records import PredictedImage, Prediction

# Field of `Prediction.task`: the images, [[name, address], ...]; absent where the task has only
# that of the first control.
IMAGES = "images"
_DATA = "data"  # of the task, with the box on the image of the first control
_DRAWINGS = ("drafts", "annotations", "predictions")


class NamedImage(NamedTuple):
    """An image of a task: its name in the labelling configuration, and its address."""

    to_name: str
    url: str


def images_of(task: Task, control: KeypointControl) -> list[NamedImage]:
    """Return the images of a task that have a control and an address, in the order of controls."""
    return [
        NamedImage(each.to_name, url)
        for each in control.of_images
        if (url := task.image_url(each.image_path)) is not None
    ]


def images_in(kept: Mapping[str, Any]) -> list[NamedImage]:
    """Return the images that `Prediction.task` names; none for a task with one image."""
    return [NamedImage(name, url) for name, url in kept.get(IMAGES, ())]


def sources_on(sources: BoxSources, control: KeypointControl, first: KeypointControl) -> BoxSources:
    """Return what may say where on the image of a control to look.

    The box in a task's data is about the image of the first control alone.
    """
    return sources if control is first else sources.model_copy(update={_DATA: {}})


def without_box(task: Task) -> Task:
    """Return a task without the box in its data, for images that this is not about."""
    data = {name: value for name, value in task.data.items() if name != BOX_FIELD}
    return task.model_copy(update={_DATA: data})


def part_about(kept: Json, to_name: str | None) -> Json:
    """Return the part of `Prediction.task` that is about one image; all of it for None."""
    if to_name is None:
        return kept
    found: Json = {}
    for name in _DRAWINGS:
        drawings = [each for each in kept.get(name, ()) if _has_rectangle(each, to_name)]
        if drawings:
            found[name] = drawings
    if _DATA in kept and images_in(kept)[0].to_name == to_name:
        found[_DATA] = kept[_DATA]
    return found | ({LISTED: kept[LISTED]} if LISTED in kept else {})


def _has_rectangle(drawing: Json, to_name: str) -> bool:
    return any(
        each.get("to_name") == to_name and each.get("type") in RECTANGLES
        for each in drawing.get("result", ())
    )


def views_of(row: Prediction) -> list[Prediction]:
    """Return a prediction once for each image of its task, as if that were its only image.

    Each has a key of its own, and what was found on its image if that is done.
    """
    named = images_in(row.task)
    if not named:
        return [row]
    made: Sequence[PredictedImage] = row.images or [
        PredictedImage(each.to_name, each.url) for each in named
    ]
    return [
        replace(
            row,
            image_url=each.image_url,
            task=part_about(row.task, each.to_name),
            detection=each.detection,
            objects=each.objects,
            input_sha256=f"{row.input_sha256}/{number}" if number else row.input_sha256,
            images=(),
            image_number=number,
            to_name=each.to_name,
        )
        for number, each in enumerate(made)
    ]
