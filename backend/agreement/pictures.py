"""Pictures for the report: suggestion and correction over the image, and the poster's columns."""

import base64
import io
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup
from PIL import Image, ImageOps, UnidentifiedImageError

from backend.agreement.queries import AgreementQueries
from backend.agreement.worst_tasks import WorstTask
from backend.database.connection import Database
from backend.labelstudio.images import ImageFetchError, fetch
from backend.labelstudio.projects import LabelStudios, NotDeliverable, ProjectStorage
from backend.settings import Settings
from backend.suggestions.maps import MapStorage
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage

log = logging.getLogger(__name__)

SIDE = 520  # px of the pictures in the page
COLUMN = 240
FETCHED_WITHIN = 8.0  # s for all pictures together: a report must not wait for Label Studio
THREADS = 4


@dataclass(frozen=True, slots=True)
class TaskPicture:
    """A task as the report shows it; without an image `problem` says why."""

    task_id: int
    link: str | None
    svg: Markup
    problem: str | None
    facts: WorstTask


@dataclass(frozen=True, slots=True)
class Columns:
    """A task in the form of the poster's figure: five pictures with captions."""

    task_id: int
    class_name: str
    pictures: Sequence[tuple[str, Markup]]


class Pictures:
    """Fetches what the report shows; whatever cannot be had in time is left out, and it says so."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._log = AgreementQueries(database)
        self._maps = MapStorage(database)
        self._studios = LabelStudios(settings)
        self._deadline = time.monotonic() + FETCHED_WITHIN

    def worst(self, tasks: Sequence[WorstTask]) -> list[TaskPicture]:
        """Draw the tasks of `worst_tasks`."""
        states = self._log.annotations_of([each.states[0] for each in tasks])
        rows = {
            row.id: row for row in self._predictions([s.prediction_id for s in states.values()])
        }
        points = self._log.verdicts_of([each.states[0] for each in tasks])
        images = self._fetched([rows[state.prediction_id] for state in states.values()])
        found = []
        for each in tasks:
            state = states[each.states[0]]
            image = images[state.prediction_id]
            shown = image if isinstance(image, Image.Image) else None
            verdicts = points.get(state.id, [])
            svg = _drawing(state.width, state.height, shown, _marks(verdicts, state), SIDE)
            problem = None if isinstance(image, Image.Image) else image
            found.append(TaskPicture(each.task, self._link(each), svg, problem, each))
        return found

    def columns(self, prediction_ids: Sequence[int]) -> list[Columns]:
        """Tasks whose maps are kept, in the form of the poster's figure 2."""
        maps = self._maps.maps_of(prediction_ids)
        rows = [row for row in self._predictions(prediction_ids) if row.id in maps]
        images = self._fetched(rows)
        final = self._log.final_of_predictions([row.id for row in rows])
        found = []
        for row in rows:
            image = images[row.id]
            if isinstance(image, Image.Image) and row.detection is not None:
                found.append(_columns(row, image, maps[row.id], final.get(row.id, [])))
        return found

    def _predictions(self, ids: Sequence[int]) -> list[Prediction]:
        return PredictionStorage(self._database).predictions(sorted(set(ids)))

    def _link(self, task: WorstTask) -> str | None:
        """Where a person sees the task in Label Studio."""
        project = ProjectStorage(self._database).project(task.project)
        address = self._settings.label_studio_url or (project.hostname if project else None)
        if not address:
            return None
        number = quote(str(task.project).partition(".")[0])
        return f"{address.rstrip('/')}/projects/{number}/data?task={task.task}"

    def _fetched(self, rows: Sequence[Prediction]) -> dict[int, Image.Image | str]:
        """Prediction → its image, or why there is none."""
        pool = ThreadPoolExecutor(THREADS)
        waiting = {row.id: pool.submit(self._image, row) for row in rows}
        found = {number: self._result(one) for number, one in waiting.items()}
        pool.shutdown(wait=False, cancel_futures=True)
        return found

    def _result(self, waiting: "Future[Image.Image | str]") -> Image.Image | str:
        try:
            return waiting.result(max(0.0, self._deadline - time.monotonic()))
        except TooLate:
            return "its image did not come in time"

    def _image(self, row: Prediction) -> Image.Image | str:
        project = ProjectStorage(self._database).project(row.project_uid)
        try:
            assert project is not None
            data = fetch(
                row.image_url,
                self._studios.of(project),
                max_bytes=self._settings.max_image_bytes,
                hosts=self._settings.image_hosts,
                task_id=row.task_id,
            )
            return _thumbnail(data, self._settings.max_image_pixels)
        except (ImageFetchError, NotDeliverable) as error:
            return f"its image cannot be had: {error}"
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
            return "its image cannot be read"


def _thumbnail(data: bytes, most_pixels: int) -> Image.Image:
    """The upright picture, small."""
    with Image.open(io.BytesIO(data)) as opened:
        if opened.width * opened.height > most_pixels:
            raise ValueError("too large")
        if opened.mode.startswith(("I", "F")):
            values = np.asarray(opened, np.float64)
            span = float(values.max() - values.min()) or 1.0
            grey = ((values - values.min()) / span * 255).astype(np.uint8)
            upright = Image.fromarray(grey)
        else:
            upright = ImageOps.exif_transpose(opened)
        upright = upright.convert("RGB")
    upright.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return upright


def _data_uri(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


# A mark draws itself with a size in px of the image, as large as a dot in the page.
Mark = Callable[[float], Markup]


def _drawing(
    width: float, height: float, picture: Image.Image | None, marks: Sequence[Mark], side: int
) -> Markup:
    """An SVG picture: the image, or an empty frame, and marks over it."""
    unit = max(width, height) / side
    scale = side / max(width, height)
    parts = [
        Markup('<svg viewBox="0 0 {} {}" width="{:.0f}" height="{:.0f}" role="img">').format(
            f"{width:g}", f"{height:g}", width * scale, height * scale
        ),
        Markup('<rect width="100%" height="100%" fill="#eef1f4"/>'),
    ]
    if picture is not None:
        parts.append(
            Markup('<image href="{}" width="{}" height="{}" preserveAspectRatio="none"/>').format(
                _data_uri(picture), f"{width:g}", f"{height:g}"
            )
        )
    parts += [mark(unit) for mark in marks]
    return Markup("").join([*parts, Markup("</svg>")])


def _marks(verdicts: Sequence[Any], state: Any) -> list[Mark]:
    """Lines first, so that the dots lie over them."""
    lines = [_line(row) for row in verdicts if row.verdict.startswith("moved")]
    return [*lines, *[_mark(row) for row in verdicts]]


def _line(row: Any) -> Mark:
    # Coordinates have the centre of the first pixel at 0, SVG its corner.
    ends = [value + 0.5 for value in (row.suggested_x, row.suggested_y, row.final_x, row.final_y)]

    def draw(unit: float) -> Markup:
        numbers = [f"{end:.2f}" for end in ends] + [f"{2 * unit:.3f}"]
        return Markup(
            '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="#ffd54a" stroke-width="{}"/>'
        ).format(*numbers)

    return draw


def _mark(row: Any) -> Mark:
    def draw(unit: float) -> Markup:
        found = Markup("<g><title>{}</title>").format(_told(row))
        if row.suggested_x is not None:
            at = row.suggested_x + 0.5, row.suggested_y + 0.5
            if row.final_x is None:
                found += _cross(at, unit)
            elif row.displacement > unit:  # else the ring would only hide the dot
                found += _dot(at, unit, "#c8453c", False)
        if row.final_x is not None:
            at = row.final_x + 0.5, row.final_y + 0.5
            colour = "#8568b0" if row.suggested_x is None else "#2eb872"
            found += _dot(at, unit, colour, True)
        return found + Markup("</g>")

    return draw


def _told(row: Any) -> str:
    labels = dict.fromkeys(label for label in (row.suggested_label, row.final_label) if label)
    return f"{row.verdict.replace('_', ' ')}: {' → '.join(labels)}"


def _dot(at: tuple[float, float], unit: float, colour: str, filled: bool) -> Markup:
    x, y, radius = f"{at[0]:.2f}", f"{at[1]:.2f}", f"{(6 if filled else 8) * unit:.3f}"
    stroke, fill = ("#ffffff", colour) if filled else (colour, "none")
    return Markup(
        '<circle cx="{}" cy="{}" r="{}" fill="{}" stroke="{}" stroke-width="{}"/>'
    ).format(x, y, radius, fill, stroke, f"{(1.5 if filled else 3) * unit:.3f}")


def _cross(at: tuple[float, float], unit: float) -> Markup:
    r = 8 * unit
    side = f"{2 * r:.2f}"
    path = f"M{at[0] - r:.2f} {at[1] - r:.2f}l{side} {side}m-{side} 0l{side} -{side}"
    return Markup('<path d="{}" stroke="#c8453c" stroke-width="{}" fill="none"/>').format(
        path, f"{4 * unit:.3f}"
    )


def _columns(
    row: Prediction,
    image: Image.Image,
    maps: tuple[bytes, bytes],
    final: Sequence[tuple[float, float]],
) -> Columns:
    """Input, coarse map, guided map, detections in red, annotations in green."""
    detection = row.detection
    assert detection is not None
    width, height = detection.width, detection.height
    found = [(point.x, point.y) for point in detection.keypoints]

    def drawn(picture: Image.Image, points: Sequence[tuple[float, float]], colour: str) -> Markup:
        marks = [_point_mark(point, colour) for point in points]
        return _drawing(width, height, picture, marks, COLUMN)

    coarse, fine = (_heat(image, each, detection) for each in maps)
    pictures = [
        ("input", drawn(image, [], "")),
        ("coarse: occlusion", drawn(coarse, [], "")),
        ("fine: guided backpropagation", drawn(fine, [], "")),
        ("detections", drawn(image, found, "#e53228")),
        ("annotations", drawn(image, final, "#2eb872")),
    ]
    return Columns(row.task_id, detection.class_name, pictures)


def _point_mark(point: tuple[float, float], colour: str) -> Mark:
    return lambda unit: _dot((point[0] + 0.5, point[1] + 0.5), unit, colour, True)


def _heat(image: Image.Image, packed: bytes, detection: Any) -> Image.Image:
    """A map over the part of the image that it is about: blue where lowest, red where highest."""
    from matplotlib import colormaps

    scale_x, scale_y = image.width / detection.width, image.height / detection.height
    box = detection.box
    left, top = round(box.left * scale_x), round(box.top * scale_y)
    size = max(1, round(box.width * scale_x)), max(1, round(box.height * scale_y))
    with Image.open(io.BytesIO(packed)) as grey:
        values = np.asarray(grey.resize(size, Image.Resampling.BILINEAR), np.float64) / 255
    colours = Image.fromarray((colormaps["jet"](values)[..., :3] * 255).astype(np.uint8))
    copy = image.copy()
    part = copy.crop((left, top, left + size[0], top + size[1]))
    copy.paste(Image.blend(part, colours, 0.6), (left, top))
    return copy
