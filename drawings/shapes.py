"""The proportions of six types of vehicle, and their random variation.

In metres; `x` runs forwards from the rearmost point (0), `z` upwards from the ground.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from drawings.outlines import Outline, Spot, rounded


@dataclass(frozen=True, eq=False)
class Shape:
    """One vehicle: its side view and its width.

    Attributes:
        class_name: type of the vehicle.
        length, width, height: overall.
        sill: height of the body's lower edge above the ground.
        contour: upper edge of the body, from the rear bumper over the roof to the front bumper.
        corners: named points on the contour.
        section: pairs of (height, share of the half width), which shape the sides.
        nose: narrowing of the body at its two ends, as a share of its width.
        belt: height of the lower edge of the side windows.
        windows: outlines of the side windows, rear to front.
        window_corners: lower rear corner of the rearmost and lower front corner of the foremost
            side window.
        windscreen, rear_window: (lowest, highest) height of the glass at the two ends.
        seams: lines between doors.
        handles: door handles, the driver's door first.
        axles: x of the rear and the front wheels.
        wheel_radius: including the tyre.
        head_lamp, tail_lamp: (lowest, highest) height.
        mirror: point where it is fixed.
        mirror_size: (x, z).
        bed: (rear, front) end of an open load bed.
        roof_rails: (rear, front) end of the rails.
        glazed_doors: outlines of doors made of glass from top to bottom.
        sign: whether there is a destination sign above the windscreen.
    """

    class_name: str
    length: float
    width: float
    height: float
    sill: float
    contour: Outline
    corners: dict[str, Spot]
    section: tuple[Spot, ...]
    nose: float
    belt: float
    windows: tuple[Outline, ...]
    window_corners: tuple[Spot, Spot]
    windscreen: Spot
    rear_window: Spot
    seams: tuple[Outline, ...]
    handles: tuple[Spot, ...]
    axles: Spot
    wheel_radius: float
    head_lamp: Spot
    tail_lamp: Spot
    mirror: Spot
    mirror_size: Spot = (0.22, 0.16)
    bed: Spot | None = None
    roof_rails: Spot | None = None
    glazed_doors: tuple[Outline, ...] = field(default=())
    sign: bool = False


Edge = Callable[[float], float]  # height → x


def _edge_between(low: Spot, high: Spot, shift: float = 0.0) -> Edge:
    def edge(height: float) -> float:
        share = (height - low[1]) / (high[1] - low[1])
        return low[0] + share * (high[0] - low[0]) + shift

    return edge


def _upright(x: float) -> Edge:
    return lambda height: x


def _row_of_windows(
    rear: Edge, pillars: Sequence[tuple[float, float]], front: Edge, low: float, high: float
) -> tuple[tuple[Outline, ...], tuple[Spot, Spot]]:
    """Return windows from the edge `rear` to the edge `front`, separated by pillars (x, width)."""
    starts = [rear, *(_upright(x + width / 2) for x, width in pillars)]
    ends = [*(_upright(x - width / 2) for x, width in pillars), front]
    windows, corners = [], []
    for start, end in zip(starts, ends, strict=True):
        outline = [(start(low), low), (end(low), low), (end(high), high), (start(high), high)]
        curve, places = rounded(outline, [0.05, 0.05, 0.12, 0.12], closed=True)
        windows.append(curve)
        corners.append(places)
    return tuple(windows), (_spot(corners[0][0]), _spot(corners[-1][1]))


def _spot(pair: NDArray[np.float64]) -> Spot:
    return float(pair[0]), float(pair[1])


def _contour(
    vertices: Sequence[tuple[float, float, float] | tuple[float, float, float, str]],
) -> tuple[Outline, dict[str, Spot]]:
    """Round vertices (x, z, radius[, name]); return the curve and its named points."""
    curve, places = rounded(
        [(vertex[0], vertex[1]) for vertex in vertices],
        [vertex[2] for vertex in vertices],
        closed=False,
    )
    named = {
        vertex[3]: _spot(place)
        for vertex, place in zip(vertices, places, strict=True)
        if len(vertex) == 4
    }
    return curve, named


def _door_seams(edges: Sequence[float], belt: float, sill: float) -> tuple[Outline, ...]:
    return tuple(np.array([(x, belt), (x, sill + 0.1)]) for x in edges)


@dataclass(frozen=True)
class _Cabin:
    """The four corners of a car's cabin (x, z)."""

    rear_base: Spot
    rear_top: Spot
    front_top: Spot
    front_base: Spot


def _car(
    rng: Generator,
    class_name: str,
    *,
    length: float,
    height: float,
    cabin: _Cabin,
    tail: Sequence[tuple[float, float, float]],
    pillars: Sequence[tuple[float, float]],
    doors: Sequence[float],
    roof_rails: Spot | None = None,
) -> Shape:
    """Build a passenger car: bonnet, cabin and `tail`, the contour behind the cabin."""
    width = rng.uniform(1.72, 1.86)
    wheel_radius = rng.uniform(0.30, 0.345)
    sill = rng.uniform(0.19, 0.24)
    nose_height = rng.uniform(0.74, 0.84)
    roundness = rng.uniform(0.7, 1.3)
    middle = (cabin.rear_top[0] + cabin.front_top[0]) / 2
    contour, corners = _contour(
        [
            (0.05, sill, 0.0),
            (0.0, 0.42, 0.12 * roundness),
            (0.0, 0.56, 0.08),
            *tail,
            (*cabin.rear_base, 0.12 * roundness, "rear window base"),
            (*cabin.rear_top, 0.22 * roundness, "roof rear corner"),
            (middle, height, 0.9),
            (*cabin.front_top, 0.3 * roundness, "roof front corner"),
            (*cabin.front_base, 0.16, "windscreen base"),
            (length - 0.30, nose_height + 0.03, 0.35 * roundness),
            (length - 0.05, nose_height - 0.12, 0.16 * roundness),
            (length, 0.50, 0.1),
            (length - 0.02, 0.36, 0.1),
            (length - 0.08, sill, 0.0),
        ]
    )
    belt = max(cabin.front_base[1], cabin.rear_base[1]) - 0.02
    top = height - 0.12
    windows, window_corners = _row_of_windows(
        _edge_between(cabin.rear_base, cabin.rear_top, rng.uniform(0.16, 0.24)),
        pillars,
        _edge_between(cabin.front_base, cabin.front_top, -rng.uniform(0.14, 0.18)),
        belt,
        top,
    )
    front_axle = length - rng.uniform(0.80, 0.90)
    rear_axle = rng.uniform(0.72, 0.82) if length < 4.2 else rng.uniform(0.90, 1.02)
    lamp = nose_height - rng.uniform(0.18, 0.22)
    tail_low = rng.uniform(0.66, 0.72)
    return Shape(
        class_name=class_name,
        length=length,
        width=width,
        height=height,
        sill=sill,
        contour=contour,
        corners=corners,
        section=((sill, 0.92), (0.38, 0.985), (0.62, 1.0), (belt, 0.965), (height, 0.77)),
        nose=0.15,
        belt=belt,
        windows=windows,
        window_corners=window_corners,
        windscreen=(cabin.front_base[1] + 0.03, cabin.front_top[1] - 0.05),
        rear_window=(cabin.rear_base[1] + 0.05, cabin.rear_top[1] - 0.07),
        seams=_door_seams(doors, belt, sill),
        handles=tuple((x + 0.17, belt - 0.14) for x in doors[:-1]),
        axles=(rear_axle, front_axle),
        wheel_radius=wheel_radius,
        head_lamp=(lamp, lamp + rng.uniform(0.12, 0.16)),
        tail_lamp=(tail_low, tail_low + rng.uniform(0.14, 0.2)),
        mirror=(window_corners[1][0] - 0.02, belt - 0.09),
        roof_rails=roof_rails,
    )


def _saloon(rng: Generator) -> Shape:
    length = rng.uniform(4.35, 4.85)
    height = rng.uniform(1.39, 1.48)
    boot = rng.uniform(0.97, 1.03)
    cabin = _Cabin(
        rear_base=(rng.uniform(0.78, 0.98), boot + 0.02),
        rear_top=(rng.uniform(1.42, 1.62), height - 0.07),
        front_top=(length - rng.uniform(2.12, 2.26), height - 0.05),
        front_base=(length - rng.uniform(1.34, 1.46), rng.uniform(0.93, 0.97)),
    )
    middle = (cabin.rear_top[0] + cabin.front_top[0]) / 2 - 0.05
    return _car(
        rng,
        "saloon",
        length=length,
        height=height,
        cabin=cabin,
        tail=[(0.06, boot - 0.02, 0.12)],
        pillars=[(middle, 0.09)],
        doors=[rng.uniform(1.12, 1.2), middle, length - rng.uniform(1.46, 1.56)],
    )


def _hatchback(rng: Generator) -> Shape:
    length = rng.uniform(3.55, 4.0)
    height = rng.uniform(1.42, 1.53)
    three_doors = rng.random() < 0.4
    cabin = _Cabin(
        rear_base=(rng.uniform(0.14, 0.22), rng.uniform(0.95, 1.02)),
        rear_top=(rng.uniform(0.62, 0.80), height - 0.08),
        front_top=(length - rng.uniform(1.80, 1.92), height - 0.05),
        front_base=(length - rng.uniform(1.08, 1.2), rng.uniform(0.94, 0.99)),
    )
    share = 0.42 if three_doors else 0.5
    middle = cabin.rear_top[0] + share * (cabin.front_base[0] - cabin.rear_top[0])
    doors = [middle, length - rng.uniform(1.25, 1.34)]
    return _car(
        rng,
        "hatchback",
        length=length,
        height=height,
        cabin=cabin,
        tail=[(0.06, 0.74, 0.1)],
        pillars=[(middle, 0.10)],
        doors=doors if three_doors else [rng.uniform(0.98, 1.05), *doors],
    )


def _estate(rng: Generator) -> Shape:
    length = rng.uniform(4.45, 4.9)
    height = rng.uniform(1.43, 1.52)
    cabin = _Cabin(
        rear_base=(rng.uniform(0.07, 0.12), rng.uniform(0.98, 1.03)),
        rear_top=(rng.uniform(0.30, 0.45), height - 0.06),
        front_top=(length - rng.uniform(2.12, 2.26), height - 0.05),
        front_base=(length - rng.uniform(1.34, 1.46), rng.uniform(0.94, 0.98)),
    )
    rear_pillar = rng.uniform(1.28, 1.42)
    middle = (rear_pillar + cabin.front_base[0] - 0.25) / 2
    return _car(
        rng,
        "estate",
        length=length,
        height=height,
        cabin=cabin,
        tail=[(0.03, 0.78, 0.08)],
        pillars=[(rear_pillar, 0.09), (middle, 0.09)],
        doors=[rear_pillar - 0.05, middle, length - rng.uniform(1.46, 1.56)],
        roof_rails=(cabin.rear_top[0] + 0.25, cabin.front_top[0] - 0.15),
    )


def _van(rng: Generator) -> Shape:
    length = rng.uniform(4.7, 5.5)
    height = rng.uniform(1.95, 2.35)
    width = rng.uniform(1.9, 2.0)
    sill = rng.uniform(0.24, 0.3)
    belt = rng.uniform(1.12, 1.2)
    base = (length - rng.uniform(0.66, 0.8), belt + 0.02)
    top = (length - rng.uniform(1.45, 1.6), height - 0.07)
    contour, corners = _contour(
        [
            (0.04, sill, 0.0),
            (0.0, 0.50, 0.06),
            (0.02, belt, 0.1, "rear window base"),
            (rng.uniform(0.06, 0.14), height - 0.03, 0.16, "roof rear corner"),
            (length * 0.45, height, 0.8),
            (*top, 0.35, "roof front corner"),
            (*base, 0.16, "windscreen base"),
            (length - 0.14, belt - 0.22, 0.25),
            (length, 0.62, 0.16),
            (length - 0.01, 0.42, 0.1),
            (length - 0.08, sill, 0.0),
        ]
    )
    door = length - rng.uniform(1.95, 2.1)
    windows, window_corners = _row_of_windows(
        _upright(door + 0.08),
        [],
        _edge_between(base, top, -0.16),
        belt,
        min(height - 0.22, 1.86),
    )
    lamp = rng.uniform(0.66, 0.72)
    slide = rng.uniform(1.5, 1.8)
    tail_low = rng.uniform(0.62, 0.75)
    return Shape(
        class_name="van",
        length=length,
        width=width,
        height=height,
        sill=sill,
        contour=contour,
        corners=corners,
        section=((sill, 0.95), (0.5, 0.99), (0.75, 1.0), (belt, 0.985), (height, 0.88)),
        nose=0.12,
        belt=belt,
        windows=windows,
        window_corners=window_corners,
        windscreen=(base[1] + 0.03, top[1] - 0.06),
        rear_window=(belt + 0.08, min(height - 0.3, 1.75)),
        seams=(
            *_door_seams([door, length - rng.uniform(1.12, 1.2)], belt, sill),
            _sliding_door(door - slide, door - 0.05, sill + 0.12, height - 0.28),
            np.array([(0.35, belt - 0.08), (door - 0.1, belt - 0.08)]),
        ),
        handles=((door + 0.16, belt - 0.14), (door - 0.2, belt - 0.2)),
        axles=(rng.uniform(0.92, 1.05), length - rng.uniform(0.82, 0.92)),
        wheel_radius=rng.uniform(0.32, 0.36),
        head_lamp=(lamp, lamp + rng.uniform(0.18, 0.26)),
        tail_lamp=(tail_low, tail_low + rng.uniform(0.3, 0.45)),
        mirror=(window_corners[1][0], belt - 0.16),
        mirror_size=(0.2, 0.3),
    )


def _sliding_door(rear: float, front: float, low: float, high: float) -> Outline:
    corners = [(rear, low), (front, low), (front, high), (rear, high)]
    curve, _ = rounded(corners, [0.1] * 4, closed=True)
    return np.concatenate([curve, curve[:1]])


def _pickup(rng: Generator) -> Shape:
    length = rng.uniform(4.95, 5.35)
    height = rng.uniform(1.70, 1.82)
    sill = rng.uniform(0.33, 0.40)
    belt = rng.uniform(1.10, 1.17)
    rail = belt - rng.uniform(0.0, 0.06)
    double_cab = rng.random() < 0.5
    cab_rear = rng.uniform(1.62, 1.78) if double_cab else rng.uniform(2.2, 2.4)
    base = (length - rng.uniform(1.38, 1.5), belt + 0.01)
    top = (length - rng.uniform(2.02, 2.14), height - 0.05)
    nose_height = belt - rng.uniform(0.06, 0.1)
    contour, corners = _contour(
        [
            (0.06, sill, 0.0),
            (0.0, 0.55, 0.05),
            (0.03, 0.66, 0.04),
            (0.04, rail, 0.05),
            (cab_rear, rail + 0.01, 0.03, "rear window base"),
            (cab_rear + 0.12, height - 0.05, 0.16, "roof rear corner"),
            ((cab_rear + 0.12 + top[0]) / 2, height, 0.5),
            (*top, 0.2, "roof front corner"),
            (*base, 0.12, "windscreen base"),
            (length - 0.16, nose_height, 0.2),
            (length - 0.03, nose_height - 0.16, 0.1),
            (length, 0.66, 0.06),
            (length, 0.5, 0.06),
            (length - 0.06, sill, 0.0),
        ]
    )
    middle = (cab_rear + 0.1 + base[0] - 0.3) / 2
    windows, window_corners = _row_of_windows(
        _edge_between((cab_rear, rail), (cab_rear + 0.12, height - 0.05), 0.14),
        [(middle, 0.09)] if double_cab else [],
        _edge_between(base, top, -0.14),
        belt,
        height - 0.14,
    )
    doors = [cab_rear + 0.1, *([middle] if double_cab else []), length - rng.uniform(1.52, 1.6)]
    lamp = nose_height - rng.uniform(0.27, 0.31)
    return Shape(
        class_name="pick-up",
        length=length,
        width=rng.uniform(1.84, 1.95),
        height=height,
        sill=sill,
        contour=contour,
        corners=corners,
        section=((sill, 0.94), (0.6, 0.99), (0.8, 1.0), (belt, 0.97), (height, 0.80)),
        nose=0.10,
        belt=belt,
        windows=windows,
        window_corners=window_corners,
        windscreen=(base[1] + 0.03, top[1] - 0.05),
        rear_window=(belt + 0.06, height - 0.17),
        seams=(
            *_door_seams(doors, belt, sill),
            np.array([(cab_rear - 0.03, rail - 0.02), (cab_rear - 0.03, sill + 0.08)]),
        ),
        handles=tuple((x + 0.17, belt - 0.15) for x in doors[:-1]),
        axles=(rng.uniform(1.12, 1.24), length - rng.uniform(0.88, 0.98)),
        wheel_radius=rng.uniform(0.38, 0.42),
        head_lamp=(lamp, lamp + rng.uniform(0.15, 0.2)),
        tail_lamp=(rail - 0.34, rail - 0.08),
        mirror=(window_corners[1][0], belt - 0.12),
        mirror_size=(0.2, 0.22),
        bed=(0.12, cab_rear - 0.06),
    )


def _bus(rng: Generator) -> Shape:
    length = rng.uniform(8.2, 10.6)
    height = rng.uniform(2.85, 3.15)
    sill = rng.uniform(0.30, 0.36)
    belt = rng.uniform(1.22, 1.38)
    contour, corners = _contour(
        [
            (0.05, sill, 0.0),
            (0.0, 0.6, 0.1),
            (0.0, belt, 0.1, "rear window base"),
            (0.06, height, 0.3, "roof rear corner"),
            (length - rng.uniform(0.14, 0.26), height, 0.34, "roof front corner"),
            (length - 0.03, belt - 0.1, 0.3, "windscreen base"),
            (length, 0.7, 0.1),
            (length - 0.05, sill, 0.0),
        ]
    )
    top = height - rng.uniform(0.5, 0.6)
    front_axle = length - rng.uniform(2.15, 2.4)
    door_front = length - 0.3
    doors = [_glazed_door(door_front - 1.0, door_front, sill + 0.1, top + 0.05)]
    if rng.random() < 0.6:
        start = length * rng.uniform(0.40, 0.46)
        doors.append(_glazed_door(start, start + 1.1, sill + 0.1, top + 0.05))
    bays = int(rng.integers(4, 7))
    step = (door_front - 1.2 - 0.35) / bays
    windows, window_corners = _row_of_windows(
        _upright(0.35),
        [(0.35 + step * bay, 0.12) for bay in range(1, bays)],
        _upright(door_front - 1.2),
        belt,
        top,
    )
    lamp = rng.uniform(0.6, 0.7)
    return Shape(
        class_name="bus",
        length=length,
        width=2.5,
        height=height,
        sill=sill,
        contour=contour,
        corners=corners,
        section=((sill, 0.96), (0.6, 1.0), (belt, 1.0), (height - 0.3, 0.97), (height, 0.88)),
        nose=0.05,
        belt=belt,
        windows=windows,
        window_corners=window_corners,
        windscreen=(belt - 0.08, height - 0.5),
        rear_window=(belt + 0.15, height - 0.55),
        seams=(np.array([(0.2, belt - 0.22), (door_front - 1.1, belt - 0.22)]),),
        handles=((door_front - 1.12, belt - 0.14),),
        axles=(rng.uniform(2.2, 2.7), front_axle),
        wheel_radius=rng.uniform(0.46, 0.5),
        head_lamp=(lamp, lamp + rng.uniform(0.2, 0.26)),
        tail_lamp=(0.75, 1.1),
        mirror=(length - 0.05, height - 0.75),
        mirror_size=(0.24, 0.42),
        glazed_doors=tuple(doors),
        sign=True,
    )


def _glazed_door(rear: float, front: float, low: float, high: float) -> Outline:
    corners = [(rear, low), (front, low), (front, high), (rear, high)]
    return rounded(corners, [0.08] * 4, closed=True)[0]


_BUILDERS: dict[str, Callable[[Generator], Shape]] = {
    "saloon": _saloon,
    "hatchback": _hatchback,
    "estate": _estate,
    "van": _van,
    "pick-up": _pickup,
    "bus": _bus,
}

CLASSES = tuple(_BUILDERS)


def random_shape(class_name: str, rng: Generator) -> Shape:
    """Return a vehicle of this type with random proportions."""
    return _BUILDERS[class_name](rng)
