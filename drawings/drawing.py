"""Drawings of vehicles: an image, its class label and the true positions of its landmarks.

Six types of vehicle, seen from the side or at three quarters, facing either way, in front of
streets, landscapes, studios and patterns. A drawing depends only on its number and seed. The class
shows only in the shape of the vehicle: colours, place, size, surroundings and light do not depend
on it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from drawings.camera import Camera
from drawings.canvas import Canvas
from drawings.paint import random_paint
from drawings.shapes import CLASSES, random_shape
from drawings.surroundings import (
    apply_light_and_lens,
    paint_backdrop,
    paint_foreground,
)
from drawings.vehicle import Picture, take_picture
from model.keypoint import Box, edge_to_centre


@dataclass(frozen=True, slots=True)
class Landmark:
    """The true position of a part.

    `x` right, `y` down, px of the image; (0, 0) is the centre of its first pixel, as in
    `model.keypoint.Keypoint`. A part that faces away or is covered is not `visible`.
    """

    name: str
    x: float
    y: float
    visible: bool


@dataclass(frozen=True, eq=False)
class Drawing:
    """A drawn vehicle and its ground truth.

    Attributes:
        image: (height, width, 3) uint8 RGB.
        class_name: one of `CLASSES`.
        landmarks: one for each name in `LANDMARKS`, in that order.
        box: box around the whole vehicle, including parts that are covered.
    """

    image: NDArray[np.uint8]
    class_name: str
    landmarks: tuple[Landmark, ...]
    box: Box


def class_of(index: int) -> str:
    """Return the class of drawing number `index`; the classes take turns."""
    return CLASSES[index % len(CLASSES)]


def draw(
    index: int,
    size: tuple[int, int] = (320, 240),
    *,
    seed: int = 0,
    class_name: str | None = None,
    facing: Literal["left", "right"] | None = None,
    plain: bool = False,
) -> Drawing:
    """Draw vehicle number `index` of the endless series `seed`.

    Args:
        index: 0, 1, 2 ...; the classes take turns.
        size: width and height, px; another size of the same shape shows the same scene.
        seed: chooses the series.
        class_name: one of `CLASSES`, instead of the class of this number.
        facing: direction of the front, instead of a random one.
        plain: whether to draw on an even ground, without shadow, grain, blur or foreground.

    Raises:
        ValueError: index or seed is negative, a side is under 16 px, or the class is unknown.
    """
    width, height = size
    class_name = class_name or class_of(index)
    if index < 0 or seed < 0 or min(size) < 16 or class_name not in CLASSES:
        raise ValueError(
            f"expected index and seed of at least 0, sides of at least 16 px and one of {CLASSES}; "
            f"got {index=}, {seed=}, {size=}, {class_name=}"
        )
    generators = [np.random.default_rng([seed, index, part]) for part in range(len(_PARTS))]
    chance = dict(zip(_PARTS, generators, strict=True))
    shape = random_shape(class_name, chance["shape"])
    camera = _random_camera(shape.length, chance["camera"])
    picture = take_picture(shape, random_paint(chance["paint"]), camera)
    layout = _random_layout(picture, size, facing, chance["layout"])

    canvas = Canvas(width, height)
    ground = layout.row(float(picture.shadow[:, 1].max()))
    if plain:
        canvas.fill(_PLAIN)
    else:
        paint_backdrop(canvas, layout.row(camera.horizon(shape)), ground, chance["backdrop"])
        softness = 0.012 * max(size)
        canvas.soft_shade(layout.place(picture.shadow), _SHADOW, softness)
    for polygons, colours in picture.layers:
        canvas.convex_polygons(layout.place(polygons), colours)
    covered = np.zeros((height, width), np.bool_)
    if not plain:
        covered = paint_foreground(canvas, chance["foreground"])
    image = canvas.finish()
    if not plain:
        image = apply_light_and_lens(image, chance["light"])
    return Drawing(
        image=image,
        class_name=class_name,
        landmarks=_landmarks(picture, layout, covered),
        box=layout.box(picture.extent),
    )


_PARTS = ("shape", "camera", "paint", "layout", "backdrop", "foreground", "light")
_PLAIN = (238.0, 240.0, 242.0)
_SHADOW = 0.4  # brightness of the ground under the vehicle, as a share of that around it


@dataclass(frozen=True)
class _Layout:
    """Maps the picture plane (m) to the image (px); (0, 0) is the image's top left corner."""

    scale: float
    left: float
    top: float
    mirrored_width: int | None  # width of the image if the vehicle faces left, else None

    def place(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        placed = points * self.scale + (self.left, self.top)
        if self.mirrored_width is not None:
            placed[..., 0] = self.mirrored_width - placed[..., 0]
        return placed

    def row(self, down: float) -> float:
        return self.top + self.scale * down

    def box(self, extent: tuple[float, float, float, float]) -> Box:
        corners = self.place(np.reshape(extent, (2, 2)))
        (left, top), (right, bottom) = corners.min(0).tolist(), corners.max(0).tolist()
        return Box(left, top, right - left, bottom - top)


def _random_camera(length: float, rng: Generator) -> Camera:
    """Choose a side view, or a view at three quarters from the front or from the rear."""
    side, front, rear = rng.uniform(-8, 8), rng.uniform(18, 48), -rng.uniform(18, 48)
    yaw = (side, front, rear)[int(rng.integers(3))]
    return Camera(
        yaw=float(np.deg2rad(yaw)),
        distance=length * rng.uniform(2.2, 4.0),
        eye_height=rng.uniform(1.2, 2.6),
    )


def _random_layout(
    picture: Picture,
    size: tuple[int, int],
    facing: Literal["left", "right"] | None,
    rng: Generator,
) -> _Layout:
    """Choose a place where the whole vehicle lies within the image."""
    left, top, right, bottom = picture.extent
    width, height = size
    share = rng.uniform(0.6, 0.96)
    scale = share * min(width / (right - left), height / (bottom - top))
    across = rng.uniform(0.03, 0.97) * (width - scale * (right - left))
    down = rng.uniform(0.3, 0.9) * (height - scale * (bottom - top))
    leftwards = rng.random() < 0.5 if facing is None else facing == "left"
    return _Layout(
        scale=scale,
        left=across - scale * left,
        top=down - scale * top,
        mirrored_width=width if leftwards else None,
    )


def _landmarks(
    picture: Picture, layout: _Layout, covered: NDArray[np.bool_]
) -> tuple[Landmark, ...]:
    height, width = covered.shape
    landmarks = []
    for name, (point, seen) in picture.landmarks.items():
        x, y = edge_to_centre(layout.place(point)).tolist()
        row, column = np.clip([round(y), round(x)], 0, [height - 1, width - 1])
        landmarks.append(Landmark(name, x, y, bool(seen and not covered[row, column])))
    return tuple(landmarks)
