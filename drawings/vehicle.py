"""A vehicle as seen by a camera: its parts, back to front, and its landmarks.

World coordinates as in `drawings.camera`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from drawings.camera import Camera
from drawings.canvas import Colour
from drawings.outlines import (
    Outline,
    Points,
    above_diagonal,
    divided,
    grown,
    rectangle,
    rounded,
    rounded_rectangle,
)
from drawings.paint import (
    BED,
    CHROME,
    DARK,
    PLATE,
    RAIL,
    SEAM,
    TREAD,
    TYRE,
    UNDERBODY,
    Paint,
    mixed,
)
from drawings.shapes import Shape
from drawings.surface import Surface, unit_normal

Array = NDArray[np.float64]
Layer = tuple[Array, Array]

LANDMARKS = (
    "front wheel",
    "rear wheel",
    "head lamp",
    "tail lamp",
    "far head lamp",
    "far tail lamp",
    "front plate",
    "rear plate",
    "front bumper",
    "rear bumper",
    "mirror",
    "door handle",
    "window front corner",
    "window rear corner",
    "windscreen base",
    "roof front corner",
    "roof rear corner",
    "rear window base",
)

_GRAZING = 0.12  # cosine; a part seen at a flatter angle does not count as visible


@dataclass(frozen=True, eq=False)
class Picture:
    """The view of the camera in its picture plane (m; right, down).

    Attributes:
        layers: convex polygons (M, N, 2) with their colours (M, 3), in the order of drawing.
        landmarks: name → (position, whether the part faces the camera and is not covered).
        shadow: outline of the shadow on the ground.
        extent: left, top, right, bottom of the layers.
    """

    layers: list[Layer]
    landmarks: dict[str, tuple[Array, bool]]
    shadow: Array
    extent: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class _Part:
    """Polygons in space (M, N, 3) with their colours (M, 3); `hull` fills their convex hull."""

    points: Array
    colours: Array
    hull: bool = False


def take_picture(shape: Shape, paint: Paint, camera: Camera) -> Picture:
    """Return the view of the vehicle from `camera`."""
    return _PictureBuilder(shape, paint, camera).picture()


class _PictureBuilder:
    """Collects the polygons of a vehicle, back to front."""

    def __init__(self, shape: Shape, paint: Paint, camera: Camera) -> None:
        self.shape = shape
        self.paint = paint
        self.camera = camera
        self.eye = camera.position(shape)
        self.surface = Surface(shape)
        self.parts: list[_Part] = []

    def picture(self) -> Picture:
        self._tyres()
        self._body()
        self._rear_end()
        self._front_end()
        self._lower_side()
        self._side_windows()
        self._side_lamps()
        self._wheels()
        self._roof_rails()
        self._mirror()
        layers = self._layers()
        corners = np.concatenate([points.reshape(-1, 2) for points, _ in layers])
        left, top = corners.min(0).tolist()
        right, bottom = corners.max(0).tolist()
        mirror = layers[-1][0][0]
        return Picture(
            layers=layers,
            landmarks=self._landmarks(mirror),
            shadow=self._shadow(),
            extent=(left, top, right, bottom),
        )

    def _layers(self) -> list[Layer]:
        corners = np.concatenate([part.points.reshape(-1, 3) for part in self.parts])
        flat = self.camera.project(corners, self.shape)
        layers, start = [], 0
        for part in self.parts:
            count, sides, _ = part.points.shape
            polygons = flat[start : start + count * sides].reshape(count, sides, 2)
            start += count * sides
            if part.hull:
                hull = cv2.convexHull(polygons[0].astype(np.float32))
                polygons = hull.reshape(1, -1, 2).astype(float)
            layers.append((polygons, part.colours))
        return layers

    def _add(self, points: Array, colour: Colour, *, hull: bool = False) -> None:
        self.parts.append(_Part(points[None], np.array([colour]), hull))

    def _add_facing(self, points: Array, colour: Colour, outward: Array) -> None:
        """Add a flat part if its outer side, in direction `outward`, faces the camera."""
        normal = unit_normal(points)
        normal = normal if normal @ outward > 0 else -normal
        if normal @ (self.eye - points[0]) > 0:
            colours = self._lit(np.array([colour]), normal[None])
            self.parts.append(_Part(points[None], colours))

    def _add_side(self, outline: Points, colour: Colour, lift: float = 0.004) -> None:
        self._add_facing(self.surface.side(divided(outline), lift), colour, _ACROSS)

    def _add_front(self, outline: Points, colour: Colour) -> None:
        self._add_facing(self.surface.front(divided(outline)), colour, _AHEAD)

    def _add_rear(self, outline: Points, colour: Colour) -> None:
        self._add_facing(self.surface.rear(divided(outline)), colour, -_AHEAD)

    def _lit(self, colours: Array, normals: Array) -> Array:
        """Shade colours (M, 3) by their unit normals (M, 3): brighter towards light and sky."""
        direct = np.clip(normals @ self.paint.light, 0, 1)
        sky = np.clip(normals[:, 2], 0, 1)
        shaded = colours * (0.66 + 0.44 * direct)[:, None]
        return np.asarray(np.clip(shaded + (30 * sky + 55 * direct**8)[:, None], 0, 255))

    def _body(self) -> None:
        quads, shares = self.surface.mesh()
        normals = np.cross(quads[:, 3] - quads[:, 1], quads[:, 2] - quads[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        middles = quads.mean(1)
        towards_eye = self.eye - middles
        order = np.argsort(-np.linalg.norm(towards_eye, axis=1), kind="stable")
        order = order[np.einsum("ij,ij->i", normals, towards_eye)[order] > 0]
        colours = self._lit(self._body_colours(middles, shares, normals), normals)
        self.parts.append(_Part(quads[order], colours[order]))

    def _body_colours(self, middles: Array, shares: Array, normals: Array) -> Array:
        shape, paint = self.shape, self.paint
        x, _, z = middles.T
        colours = np.tile(np.asarray(paint.body, float), (len(middles), 1))
        colours[z > shape.belt + 0.02] = paint.roof
        colours[z < shape.sill + 0.13 * (shape.belt - shape.sill)] = UNDERBODY
        if shape.bed is not None:
            inside = (x > shape.bed[0]) & (x < shape.bed[1]) & (np.abs(shares) < 0.85)
            colours[inside & (normals[:, 2] > 0.7)] = BED
        return colours

    def _rear_end(self) -> None:
        shape, paint = self.shape, self.paint
        low, high = shape.rear_window
        self._glass(self._add_rear, low, high, 0.84, 0.80)
        if self.eye[0] > 0:
            return
        lamp_low, lamp_high = shape.tail_lamp
        for side in (-1, 1):
            corners = [(0.98, lamp_low), (0.72, lamp_low), (0.76, lamp_high), (0.98, lamp_high)]
            self._add_rear([(side * t, z) for t, z in corners], paint.tail_lamp)
        bumper = 0.5 * (shape.sill + lamp_low)
        self._add_rear(rectangle(-0.97, shape.sill + 0.06, 0.97, bumper), paint.trim)
        plate = self._rear_plate()
        self._add_rear(rectangle(-0.28, plate - 0.06, 0.28, plate + 0.06), PLATE)
        seam = rectangle(-0.82, lamp_low - 0.05, 0.82, lamp_low - 0.035)
        self._add_rear(seam, SEAM)

    def _front_end(self) -> None:
        shape, paint = self.shape, self.paint
        low, high = shape.windscreen
        self._glass(self._add_front, low, high, 0.88, 0.84)
        if self.eye[0] < shape.length:
            return
        lamp_low, lamp_high = shape.head_lamp
        bumper = shape.sill + 0.62 * (lamp_low - shape.sill)
        self._add_front(rectangle(-0.97, shape.sill + 0.06, 0.97, bumper), paint.trim)
        self._add_front(rectangle(-0.6, shape.sill + 0.08, 0.6, bumper - 0.04), DARK)
        self._add_front(rectangle(-0.5, lamp_low + 0.01, 0.5, lamp_high - 0.02), DARK)
        middle = (lamp_low + lamp_high) / 2
        self._add_front(rectangle(-0.46, middle - 0.012, 0.46, middle + 0.012), CHROME)
        for side in (-1, 1):
            corners = [
                (0.98, lamp_low), (0.62, lamp_low), (0.56, lamp_high - 0.02), (0.98, lamp_high)
            ]  # fmt: skip
            self._add_front([(side * t, z) for t, z in corners], paint.head_lamp)
            core = rounded_rectangle(0.78, middle, 0.1, 0.045 + 0.1 * (lamp_high - lamp_low))
            self._add_front([(side * t, z) for t, z in core], (250, 250, 250))
        plate = self._front_plate()
        self._add_front(rectangle(-0.26, plate - 0.055, 0.26, plate + 0.055), PLATE)
        if shape.sign:
            top = (high + shape.height) / 2 - 0.02
            self._add_front(rectangle(-0.7, top - 0.13, 0.7, top + 0.11), DARK)
            self._add_front(rectangle(-0.5, top - 0.05, 0.4, top + 0.04), (250, 176, 40))

    def _glass(
        self,
        add: Callable[[Points, Colour], None],
        low: float,
        high: float,
        low_share: float,
        high_share: float,
    ) -> None:
        """Add a pane across the front or the rear, with its dark rim and a reflection."""
        for margin, colour in ((0.03, DARK), (0.0, self.paint.glass)):
            corners = [
                (-low_share - margin, low - margin),
                (low_share + margin, low - margin),
                (high_share + margin, high + margin),
                (-high_share - margin, high + margin),
            ]
            add(rounded(corners, [0.1] * 4, closed=True)[0], colour)
        bright = mixed(self.paint.glass, (235, 243, 250), 0.35)
        low, high = low + 0.04, high - 0.04
        add([(-0.5, low), (-0.1, low), (0.25, high), (-0.15, high)], bright)

    def _lower_side(self) -> None:
        shape, paint = self.shape, self.paint
        length, belt = shape.length, shape.belt
        if paint.stripe is not None:
            middle = (shape.sill + belt) / 2 + 0.12
            self._add_side(
                rectangle(0.06 * length, middle - 0.05, 0.94 * length, middle + 0.05), paint.stripe
            )
        crease = belt - 0.22 * (belt - shape.sill)
        light = mixed(paint.body, (255, 255, 255), 0.22)
        self._add_side(rectangle(0.1 * length, crease, 0.9 * length, crease + 0.018), light)
        for seam in shape.seams:
            self._line_on_side(seam, 0.016, mixed(paint.body, DARK, 0.75))
        for axle in shape.axles:
            self._add_side(self._arch(axle), DARK)
        for x, z in shape.handles:
            self._add_side(rounded_rectangle(x, z - 0.008, 0.105, 0.034), SEAM)
            self._add_side(rounded_rectangle(x, z, 0.095, 0.024), CHROME)

    def _arch(self, axle: float) -> Outline:
        """Return the outline of the opening around a wheel, above the sill."""
        radius = 1.14 * self.shape.wheel_radius
        angle = np.linspace(0, np.pi, 25)
        circle = np.stack([np.cos(angle), np.sin(angle)], 1) * radius
        circle += [axle, self.shape.wheel_radius]
        base = [(axle - radius, self.shape.sill), (axle + radius, self.shape.sill)]
        return np.concatenate([circle, base])

    def _line_on_side(self, points: Outline, thickness: float, colour: Colour) -> None:
        for start, end in pairwise(points):
            along = end - start
            length = np.hypot(*along)
            if length > 1e-6:
                across = np.array([-along[1], along[0]]) / length * thickness / 2
                self._add_side(
                    [*(start - across, end - across, end + across, start + across)], colour
                )

    def _side_windows(self) -> None:
        glass = self.paint.glass
        bright = mixed(glass, (235, 243, 250), 0.38)
        for window in (*self.shape.windows, *self.shape.glazed_doors):
            self._add_side(grown(window, 0.035), DARK)
            self._add_side(window, glass)
            upper = above_diagonal(window)
            if len(upper) > 2:
                self._add_side(upper, bright)
        for door in self.shape.glazed_doors:
            (left, low), (right, high) = door.min(0), door.max(0)
            middle = (left + right) / 2
            self._add_side(rectangle(middle - 0.035, low, middle + 0.035, high), DARK)

    def _side_lamps(self) -> None:
        shape, paint = self.shape, self.paint
        low, high = shape.head_lamp
        front = self.surface.front([(1, low), (1, high)])[:, 0]
        lens = [(front[0] - 0.16, low), (front[0], low), (front[1], high), (front[1] - 0.3, high)]
        self._add_side(lens, paint.head_lamp)
        low, high = shape.tail_lamp
        rear = self.surface.rear([(1, low), (1, high)])[:, 0]
        lens = [(rear[0], low), (rear[0] + 0.12, low), (rear[1] + 0.2, high), (rear[1], high)]
        self._add_side(lens, paint.tail_lamp)

    def _tyres(self) -> None:
        """Add the far wheels and the treads of the near ones."""
        radius = self.shape.wheel_radius
        for side in (-1, 1):
            for axle in self.shape.axles:
                outer = side * self._wheel_plane(axle)
                discs = [self._disc(axle, y, radius) for y in (outer, outer - side * 0.24)]
                self._add(np.concatenate(discs), TREAD, hull=True)

    def _wheel_plane(self, axle: float) -> float:
        """Return the y of a wheel's outer face."""
        place = np.array([[axle, 0.5]])
        return float(self.surface.side(place)[0, 1]) - 0.01

    def _disc(self, axle: float, y: float, radius: float) -> Array:
        z = self.shape.wheel_radius
        return np.array([axle, y, z]) + radius * _CIRCLE

    def _wheels(self) -> None:
        shape, paint = self.shape, self.paint
        radius = shape.wheel_radius
        rim = 0.68 * radius
        shaded = mixed(paint.rim, DARK, 0.72)
        for axle in shape.axles:
            y = self._wheel_plane(axle)
            self._add(self._disc(axle, y, radius), TYRE)
            self._add(self._disc(axle, y, 0.9 * radius), mixed(TYRE, (90, 90, 90), 0.25))
            self._add(self._disc(axle, y, rim), paint.rim)
            if paint.spokes >= 5:
                self._add(self._disc(axle, y, 0.86 * rim), shaded)
                for spoke in range(paint.spokes):
                    self._spoke(axle, y, 0.9 * rim, 2 * np.pi * spoke / paint.spokes)
            elif paint.spokes >= 2:
                self._add(self._disc(axle, y, 0.8 * rim), mixed(paint.rim, DARK, 0.25))
                self._add(self._disc(axle, y, 0.6 * rim), mixed(paint.rim, (255, 255, 255), 0.3))
            self._add(self._disc(axle, y, 0.26 * rim), paint.rim)
            self._add(self._disc(axle, y, 0.14 * rim), mixed(paint.rim, DARK, 0.6))

    def _spoke(self, axle: float, y: float, reach: float, angle: float) -> None:
        along = np.array([np.cos(angle), 0, np.sin(angle)])
        across = np.array([-np.sin(angle), 0, np.cos(angle)])
        centre = np.array([axle, y, self.shape.wheel_radius])
        thin, thick = 0.07 * reach, 0.15 * reach
        corners = [across * thin, along * reach + across * thick]
        corners += [along * reach - across * thick, -across * thin]
        self._add(centre + np.array(corners), self.paint.rim)

    def _roof_rails(self) -> None:
        if self.shape.roof_rails is None:
            return
        rear, front = self.shape.roof_rails
        x = np.linspace(rear, front, 8)
        top = self.surface.top(x)
        for side in (-1, 1):
            y = side * 0.9 * self.surface.half_width(x, top)
            lower = np.stack([x, y, top + 0.035], 1)
            upper = np.stack([x, y, top + 0.065], 1)
            for index in range(len(x) - 1):
                quad = [lower[index], lower[index + 1], upper[index + 1], upper[index]]
                self._add(np.array(quad), RAIL)
            for foot in (0, -1):
                base = lower[foot] + np.array([[-0.03, 0, -0.05], [0.03, 0, -0.05]])
                head = lower[foot] + np.array([[0.03, 0, 0.02], [-0.03, 0, 0.02]])
                self._add(np.concatenate([base, head]), RAIL)

    def _mirror(self) -> None:
        place = self._mirror_place()
        wide, tall = self.shape.mirror_size
        base = self.surface.side(np.array([self.shape.mirror]))[0]
        half = np.array([0, 0, 0.03])
        self._add(np.array([base + half, base - half, place - half, place + half]), DARK)
        outline = rounded_rectangle(0, 0, wide / 2, tall / 2)
        relative = np.stack([outline[:, 0], np.zeros(len(outline)), outline[:, 1]], 1)
        housing = place + relative
        box = np.concatenate([place + 1.14 * relative, housing - [0, 0.10, 0]])
        self._add(box, DARK, hull=True)
        self.parts.append(
            _Part(housing[None], self._lit(np.array([self.paint.trim]), _ACROSS[None]))
        )

    def _mirror_place(self) -> Array:
        """Return the middle of the mirror's outer face."""
        x, z = self.shape.mirror
        ahead = 0.16 if self.shape.sign else 0.0
        return np.asarray(self.surface.side([(x + ahead, z)], 0.16)[0])

    def _front_plate(self) -> float:
        return self.shape.sill + 0.32 * (self.shape.head_lamp[0] - self.shape.sill) + 0.05

    def _rear_plate(self) -> float:
        return self.shape.tail_lamp[0] - 0.14

    def _landmarks(self, mirror: Array) -> dict[str, tuple[Array, bool]]:
        points, normals = self._landmarks_in_space()
        flat = self.camera.project(points, self.shape)
        towards_eye = self.eye - points
        cosines = np.einsum("ij,ij->i", normals, towards_eye)
        facing = cosines > _GRAZING * np.linalg.norm(towards_eye, axis=1)
        return {
            name: (place, bool(faces and (name == "mirror" or not _contains(mirror, place))))
            for name, place, faces in zip(LANDMARKS, flat, facing, strict=True)
        }

    def _landmarks_in_space(self) -> tuple[Array, Array]:
        """Return positions and outward directions of the parts, in the order of `LANDMARKS`."""
        shape, surface = self.shape, self.surface
        head, tail = (sum(lamp) / 2 for lamp in (shape.head_lamp, shape.tail_lamp))
        bumper = shape.sill + 0.5 * (head - shape.sill)
        front = {
            "head lamp": (1.0, head),
            "front bumper": (1.0, bumper),
            "far head lamp": (-0.78, head),
            "front plate": (0.0, self._front_plate()),
        }
        rear = {
            "tail lamp": (1.0, tail),
            "rear bumper": (1.0, bumper),
            "far tail lamp": (-0.85, tail),
            "rear plate": (0.0, self._rear_plate()),
        }
        side = {
            "door handle": shape.handles[0],
            "window rear corner": shape.window_corners[0],
            "window front corner": shape.window_corners[1],
            **shape.corners,
        }
        places = {"mirror": self._mirror_place()}
        places |= zip(front, surface.front(list(front.values())), strict=True)
        places |= zip(rear, surface.rear(list(rear.values())), strict=True)
        places |= zip(side, surface.side(list(side.values())), strict=True)
        for name, axle in zip(("rear wheel", "front wheel"), shape.axles, strict=True):
            places[name] = np.array([axle, self._wheel_plane(axle), shape.wheel_radius])
        looks = dict.fromkeys(("far head lamp", "front plate"), _AHEAD)
        looks |= dict.fromkeys(("far tail lamp", "rear plate"), -_AHEAD)
        normals = [looks.get(name, _ACROSS) for name in LANDMARKS]
        return np.array([places[name] for name in LANDMARKS]), np.array(normals)

    def _shadow(self) -> Array:
        length, half = self.shape.length, self.shape.width / 2
        outline, _ = rounded(
            [(-0.1, -half), (length + 0.1, -half), (length + 0.1, half + 0.2), (-0.1, half + 0.2)],
            [0.5] * 4,
            closed=True,
        )
        ground = np.concatenate([outline, np.zeros((len(outline), 1))], 1)
        return self.camera.project(ground, self.shape)


_ANGLES = np.linspace(0, 2 * np.pi, 40, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.zeros(40), np.sin(_ANGLES)], 1)
_ACROSS = np.array([0.0, 1.0, 0.0])
_AHEAD = np.array([1.0, 0.0, 0.0])


def _contains(outline: Array, point: Array) -> bool:
    place = (float(point[0]), float(point[1]))
    return cv2.pointPolygonTest(outline.astype(np.float32), place, False) >= 0
