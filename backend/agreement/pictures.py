"""Pictures for the report: verdicts drawn over the image, and the stages of a detection."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from PIL import Image

from backend.agreement.queries import AgreementQueries
from backend.agreement.records import JudgedAnnotation
from backend.agreement.task_images import SIDE, TaskImages, WantedImage
from backend.agreement.verdict_svg import EMPTY, MARK_COLOURS, drawing, point_mark, verdict_marks
from backend.agreement.worst_tasks import WorstTask
from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage, project_id_of
from backend.settings import Settings
from backend.suggestions.maps import KeptMap, KeptMaps, MapStorage
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from model.keypoint import Detection

STAGE_SIDE = 240  # px
MAP_COLOURS = "viridis"  # dark is low, bright is high, for the colour-blind too
MAP_OPACITY = 0.6  # over the image


@dataclass(frozen=True, slots=True)
class TaskPicture:
    """One annotation of a task, drawn over the image.

    Attributes:
        link: to the task in Label Studio; None if its address is unknown.
        problem: why the image is missing, if it is.
        facts: the figures of the task.
    """

    task_id: int
    link: str | None
    svg: Markup
    problem: str | None
    facts: WorstTask


@dataclass(frozen=True, slots=True)
class DetectionStages:
    """One detection from the image to the annotations.

    Attributes:
        pictures: (caption, SVG) pairs.
        problem: why the image is missing, if it is.
    """

    task_id: int
    class_name: str
    pictures: Sequence[tuple[str, Markup]]
    problem: str | None


class ReportPictures:
    """Draws what one report shows; a picture whose image is missing says why."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._queries = AgreementQueries(database)
        self._predictions = PredictionStorage(database)
        self._projects = ProjectStorage(database)
        self._maps = MapStorage(database)
        self._images = TaskImages(settings, database)

    @property
    def complete(self) -> bool:
        """Whether every image that was needed so far could be fetched."""
        return self._images.missing == 0

    def worst_tasks(self, tasks: Sequence[WorstTask]) -> list[TaskPicture]:
        """Draw the tasks that agree least, each by its first annotation."""
        state_ids = [task.states[0] for task in tasks]
        annotations = self._queries.annotations_of(state_ids)
        verdicts = self._queries.verdicts_of(state_ids)
        images = self._images.fetch(map(_image_of, annotations.values()))
        found = []
        for task, state_id in zip(tasks, state_ids, strict=True):
            annotation = annotations[state_id]
            image = images[_image_of(annotation)]
            marks = verdict_marks(verdicts.get(state_id, []))
            svg = drawing(annotation.width, annotation.height, image.thumbnail, marks, SIDE)
            link = self._link(task.project, task.task)
            found.append(TaskPicture(task.task, link, svg, image.problem, task))
        return found

    def stages(self, prediction_ids: Sequence[int]) -> list[DetectionStages]:
        """Draw the stages of detections whose maps are kept."""
        maps = self._maps.maps_of(prediction_ids)
        found_rows = self._predictions.predictions(sorted(set(prediction_ids)))
        rows = [row for row in found_rows if row.id in maps]
        images = self._images.fetch(map(_image_of, rows))
        final = self._queries.final_of_predictions([row.id for row in rows])
        found = []
        for row in rows:
            if row.detection is not None:
                fetched = images[_image_of(row)]
                image = fetched.thumbnail or _empty(row.detection)
                pictures = _stages(row.detection, image, maps[row.id], final.get(row.id, []))
                name, problem = row.detection.class_name, fetched.problem
                found.append(DetectionStages(row.task_id, name, pictures, problem))
        return found

    def _link(self, project_uid: str, task_id: int) -> str | None:
        """Return the address of a task in Label Studio."""
        project = self._projects.project(project_uid)
        settings, named = self._settings, project.hostname if project else None
        is_trusted = settings.setup_may_name_label_studio
        address = settings.label_studio_url or (named if is_trusted else None)
        project_id = project_id_of(project_uid)
        if not address or project_id is None:
            return None
        return f"{address.rstrip('/')}/projects/{project_id}/data?task={task_id}"


def _image_of(shown: Prediction | JudgedAnnotation) -> WantedImage:
    """Return the image of an annotation, or the first image of a prediction, that of its maps."""
    return WantedImage(shown.project_uid, shown.task_id, shown.image_url)


def _empty(detection: Detection) -> Image.Image:
    """Return a frame of the shape of the image, for maps and points whose image is missing."""
    scale = STAGE_SIDE / max(detection.width, detection.height)
    width, height = (max(1, round(side * scale)) for side in (detection.width, detection.height))
    return Image.new("RGB", (width, height), EMPTY)


def _stages(
    detection: Detection,
    image: Image.Image,
    maps: KeptMaps,
    annotated: Sequence[tuple[float, float]],
) -> list[tuple[str, Markup]]:
    """Draw the image, both maps over it, the detected points, and the annotated ones."""

    def drawn(
        picture: Image.Image, points: Sequence[tuple[float, float]] = (), colour: str = ""
    ) -> Markup:
        marks = [point_mark(x, y, colour) for x, y in points]
        return drawing(detection.width, detection.height, picture, marks, STAGE_SIDE)

    detected = [(point.x, point.y) for point in detection.keypoints]
    return [
        ("image", drawn(image)),
        (_caption("coarse", maps.coarse), drawn(_overlay(image, maps.coarse, detection))),
        (_caption("fine", maps.fine), drawn(_overlay(image, maps.fine, detection))),
        ("detections", drawn(image, detected, MARK_COLOURS["suggested"])),
        ("annotations", drawn(image, annotated, MARK_COLOURS["final"])),
    ]


def _caption(scale: str, kept: KeptMap) -> str:
    return f"{scale}: {kept.caption}" if kept.caption else f"{scale} scale"


def _overlay(image: Image.Image, kept: KeptMap, detection: Detection) -> Image.Image:
    """Return the image with a map over the searched part: dark is low, bright is high."""
    # Imported here because the web process starts without it.
    from matplotlib import colormaps

    scale_x, scale_y = image.width / detection.width, image.height / detection.height
    box = detection.box
    left, top = round(box.left * scale_x), round(box.top * scale_y)
    size = max(1, round(box.width * scale_x)), max(1, round(box.height * scale_y))
    with Image.open(io.BytesIO(kept.png), formats=("PNG",)) as grey:
        values = np.asarray(grey.resize(size, Image.Resampling.BILINEAR), np.float64) / 255
    colours = Image.fromarray((colormaps[MAP_COLOURS](values)[..., :3] * 255).astype(np.uint8))
    copy = image.copy()
    part = copy.crop((left, top, left + size[0], top + size[1]))
    copy.paste(Image.blend(part, colours, MAP_OPACITY), (left, top))
    return copy
