"""What an annotation says that no prediction can be compared with, so that it is learnt as well.

Its task was never predicted before, or the annotation was imported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.regions import RegionError, task_box
from backend.labelstudio.schemas import BOX_FIELD, Task
from backend.labelstudio.shapes import Json
from backend.labelstudio.visibility import VisibilityControl
from backend.learning.records import UNKNOWN_SIZE, searched_part
from backend.verdicts.drawn import Drawn, Shown, Unusable, read_regions
from backend.verdicts.judging import object_of
from backend.verdicts.lessons import FinalPoint, FinalState
from model.keypoint import Box, Detection


@dataclass(frozen=True, slots=True)
class Drawing:
    """The points and rectangles of an annotation.

    Attributes:
        width, height: of the image as the editor noted it, px; `UNKNOWN_SIZE` both if it did not,
            and all lengths are then shares of the image.
        box: the part of the image that the task names; None for the whole image.
    """

    image_url: str
    width: float
    height: float
    box: Box | None
    objects: Sequence[Box]
    points: Sequence[FinalPoint]

    def as_json(self) -> Json:
        """Return the values of a row."""
        return {
            "image_url": self.image_url,
            "width": self.width,
            "height": self.height,
            "box": None if self.box is None else asdict(self.box),
            "objects": [asdict(each) for each in self.objects],
            "points": [asdict(each) for each in self.points],
        }


def drawing_from_json(row: Mapping[str, object]) -> Drawing:
    """Inverse of `Drawing.as_json`."""
    values = dict(row)
    box, objects, points = (values.pop(name) for name in ("box", "objects", "points"))
    assert isinstance(objects, list) and isinstance(points, list), "written by `as_json`"
    return Drawing(
        **values,  # type: ignore[arg-type]
        box=Box(**box) if isinstance(box, dict) else None,
        objects=[Box(**each) for each in objects],
        points=[FinalPoint(**each) for each in points],
    )


def drawing_of(
    result: Sequence[object],
    task: Task,
    control: KeypointControl,
    visibility: VisibilityControl | None = None,
) -> Drawing | None:
    """Return what an annotation of a task draws; None if it has no point or no image.

    Args:
        visibility: the control that says which points are occluded; None if there is none.
    """
    url = task.image_url(control.image_path)
    width, height = _size(result, control)
    try:
        box = task_box({"data": _box_data(task)}, control, round(width), round(height))
        whole = Box(0, 0, width, height)
        shown = Shown((), width, height, whole, visibility, control.skeleton)
        drawn = read_regions(result, shown, control.to_name)
    except (RegionError, Unusable):
        return None
    if url is None or not drawn.points:
        return None
    return Drawing(url, width, height, box, [each.box for each in drawn.objects], _points(drawn))


def state_of_drawing(task_id: int, drawing: Drawing) -> FinalState:
    """Return a drawing as the state of an annotation of a task."""
    width, height = round(drawing.width), round(drawing.height)
    detection = Detection("", 0.0, (), width, height, drawing.box or Box(0, 0, width, height))
    return FinalState(
        task_id=task_id,
        image_url=drawing.image_url,
        detection=detection,
        box=searched_part(detection),
        objects=drawing.objects,
        points=drawing.points,
        is_drawing=True,
    )


def _points(drawn: Drawn) -> list[FinalPoint]:
    return [
        FinalPoint(each.label, each.x, each.y, object_of(each, drawn.objects), each.visibility)
        for each in drawn.points
    ]


def _box_data(task: Task) -> Json:
    return {BOX_FIELD: task.data[BOX_FIELD]} if BOX_FIELD in task.data else {}


def _size(result: Sequence[object], control: KeypointControl) -> tuple[float, float]:
    """Return the size of the image, as the first region that has one says."""
    for region in result:
        if isinstance(region, Mapping) and region.get("to_name") == control.to_name:
            width, height = region.get("original_width"), region.get("original_height")
            if _is_length(width) and _is_length(height):
                return float(width), float(height)  # type: ignore[arg-type]
    return UNKNOWN_SIZE, UNKNOWN_SIZE


def _is_length(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and UNKNOWN_SIZE < value < 1e6  # type: ignore[operator]
