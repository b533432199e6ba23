"""Everything but the vehicle: backdrop, foreground, light and lens.

Nothing here depends on the type of the vehicle. All random lengths are shares of the picture's
sides, and the order of random numbers does not depend on its size, so that the same generator gives
the same scene at any size.
"""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from drawings.canvas import Canvas, Colour

Image = NDArray[np.uint8]

_SHARE_COVERED = 0.2  # of the drawings that have something in front of the vehicle


def paint_backdrop(canvas: Canvas, horizon: float, ground: float, rng: Generator) -> None:
    """Fill the canvas with a street, a landscape, a studio or a pattern.

    Args:
        horizon: px from the top; may lie outside the picture.
        ground: where the wheels of the vehicle stand, px from the top.
    """
    limit = 0.08 * canvas.height
    horizon = float(np.clip(horizon, limit, ground - limit))
    places = (_street, _country, _studio, _pattern)
    places[int(rng.choice(4, p=[0.36, 0.34, 0.16, 0.14]))](canvas, horizon, ground, rng)


def paint_foreground(canvas: Canvas, rng: Generator) -> NDArray[np.bool_]:
    """Draw a post or some bushes in front of a share of the vehicles.

    Returns:
        (height, width) at the finished size, True where something was drawn.
    """
    kind, x, tone = rng.random(), rng.uniform(0.05, 0.95), rng.uniform(0.6, 1.0)
    if kind > _SHARE_COVERED:
        return np.zeros((canvas.height, canvas.width), np.bool_)
    before = canvas.pixels.copy()
    if kind < _SHARE_COVERED / 2:
        _post(canvas, x * canvas.width, canvas.height, tone, rng)
    else:
        for across in rng.uniform(0, canvas.width, 3):
            _bush(canvas, across, canvas.height, rng.uniform(0.06, 0.16), tone, rng)
    red, green, blue = cv2.split(cv2.absdiff(before, canvas.pixels))
    changed = red | green | blue
    size = (canvas.width, canvas.height)
    return np.asarray(cv2.resize(changed, size, interpolation=cv2.INTER_NEAREST) > 0)


def apply_light_and_lens(image: Image, rng: Generator) -> Image:
    """Shade, tint and blur the finished picture and add grain, as weather and cameras do."""
    height, width = image.shape[:2]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.28)
    brightness, contrast = rng.uniform(0.8, 1.25), rng.uniform(0.8, 1.15)
    tint = rng.uniform(0.94, 1.06, 3)
    shadow, edge, tilt = rng.uniform(-0.6, 0.35), rng.uniform(-0.3, 0.3), rng.uniform(-0.6, 0.6)
    blur = max(0.0, rng.uniform(-0.003, 0.003)) * max(width, height)
    grain = max(0.0, rng.uniform(-4, 6))

    across = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    down = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    field = 1 + depth * (np.cos(angle) * across + np.sin(angle) * down)
    if shadow > 0:  # of something tall beside the picture
        field *= 1 - shadow * np.clip(0.5 + 20 * (across - edge - tilt * down), 0, 1)
    lit = (image.astype(np.float32) - 110) * np.float32(contrast) + 110
    lit *= field[..., None].astype(np.float32) * (brightness * tint).astype(np.float32)
    if blur > 0.25:
        lit = cv2.GaussianBlur(lit, (0, 0), blur)
    if grain > 0:
        lit += np.float32(grain) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.clip(lit, 0, 255).round(), np.uint8)


# Places


_Sky = tuple[Colour, Colour]
_SKIES: tuple[_Sky, ...] = (
    ((92, 156, 226), (206, 230, 248)),
    ((120, 170, 220), (236, 238, 232)),
    ((168, 180, 192), (222, 226, 228)),
    ((70, 84, 140), (246, 186, 140)),
    ((98, 110, 150), (238, 206, 190)),
    ((44, 56, 96), (120, 132, 168)),
)


def _sky(canvas: Canvas, horizon: float, rng: Generator) -> None:
    above, below = _SKIES[int(rng.integers(len(_SKIES)))]
    canvas.gradient(0, horizon + 1, above, below)
    sun = rng.random() < 0.25
    sun_x, sun_y = rng.uniform(0, canvas.width), rng.uniform(0.1, 0.9) * horizon
    if sun:
        canvas.disc(sun_x, sun_y, 0.05 * canvas.height, (255, 246, 214))
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(0, canvas.width), rng.uniform(0.05, 0.8) * horizon
        colour = _mixed(below, (255, 255, 255), rng.uniform(0.4, 0.9))
        for puff in rng.uniform(-1, 1, (5, 2)):
            radius = (0.035 - 0.012 * abs(puff[0])) * canvas.height
            centre = x + 0.09 * puff[0] * canvas.height, y + 0.01 * puff[1] * canvas.height
            canvas.polygon(_blob(*centre, 1.6 * radius, radius), colour)


def _road(canvas: Canvas, horizon: float, ground: float, rng: Generator) -> None:
    """Draw asphalt from well behind the wheels to the lower edge of the picture."""
    grey = rng.uniform(70, 150)
    edge = horizon + rng.uniform(0.35, 0.7) * (ground - horizon)
    canvas.gradient(edge, canvas.height, (grey * 1.08,) * 3, (grey * 0.88,) * 3)
    kerb = 0.008 * canvas.height
    canvas.rectangle(0, edge - kerb, canvas.width, edge + kerb / 2, (grey * 1.35,) * 3)
    marking = ground + rng.uniform(0.3, 0.8) * (canvas.height - ground)
    start, thickness = rng.uniform(0, 0.3), rng.uniform(0.008, 0.02) * canvas.height
    dashed = rng.random() < 0.7
    step = 0.3 * canvas.width
    for index in range(-1, 5):
        left = (start + 0.3 * index) * canvas.width
        right = left + (0.6 * step if dashed else 1.05 * step)
        canvas.rectangle(left, marking, right, marking + thickness, (222, 220, 208))


def _street(canvas: Canvas, horizon: float, ground: float, rng: Generator) -> None:
    _sky(canvas, horizon, rng)
    base = horizon + rng.uniform(0.1, 0.3) * (ground - horizon)
    pavement = rng.uniform(140, 200)
    canvas.gradient(horizon, canvas.height, (pavement,) * 3, (pavement * 0.9,) * 3)
    x = -rng.uniform(0, 0.2) * canvas.width
    while x < canvas.width:
        width = rng.uniform(0.16, 0.36) * canvas.width
        if rng.random() < 0.82:
            _building(canvas, x, width, base, rng)
        x += width
    _road(canvas, horizon, ground, rng)
    for _ in range(int(rng.integers(0, 4))):
        side = rng.uniform(0, canvas.width)
        thing = (_tree, _lamp_post, _road_sign, _shrub)[int(rng.integers(4))]
        thing(canvas, side, base + 0.3 * (ground - base), rng)


def _country(canvas: Canvas, horizon: float, ground: float, rng: Generator) -> None:
    _sky(canvas, horizon, rng)
    green = np.array([rng.uniform(80, 170), rng.uniform(120, 176), rng.uniform(50, 100)])
    far = np.array([130.0, 150.0, 170.0])
    for layer in range(3):
        share = (layer + 1) / 4
        colour = _colour(share * green * 0.85 + (1 - share) * far)
        waves = rng.uniform(0.4, 2.2, 3), rng.uniform(0, 2 * np.pi, 3), rng.uniform(0.2, 1, 3)
        _hills(canvas, horizon, 0.22 - 0.07 * layer, waves, colour)
    canvas.gradient(horizon, canvas.height, _colour(green), _colour(green * 0.8))
    base = horizon + 0.25 * (ground - horizon)
    for _ in range(int(rng.integers(1, 6))):
        x, depth = rng.uniform(0, canvas.width), rng.uniform(0.0, 0.4)
        thing = (_tree, _tree, _shrub, _barn)[int(rng.integers(4))]
        thing(canvas, x, horizon + depth * (ground - horizon), rng)
    if rng.random() < 0.3:
        _fence(canvas, base, rng)
    if rng.random() < 0.75:
        _road(canvas, horizon, ground, rng)


def _studio(canvas: Canvas, horizon: float, ground: float, rng: Generator) -> None:
    wall = _any_colour(rng)
    floor = _mixed(wall, _any_colour(rng), 0.4)
    canvas.gradient(0, canvas.height, wall, _mixed(wall, (255, 255, 255), rng.uniform(0, 0.6)))
    edge = horizon + rng.uniform(0.3, 0.8) * (ground - horizon)
    canvas.gradient(edge, canvas.height, floor, _mixed(floor, (20, 20, 24), rng.uniform(0, 0.5)))
    for _ in range(int(rng.integers(0, 4))):
        x, width = rng.uniform(0, canvas.width), rng.uniform(0.03, 0.2) * canvas.width
        canvas.rectangle(x, 0, x + width, edge, _mixed(wall, _any_colour(rng), 0.3))


def _pattern(canvas: Canvas, horizon: float, ground: float, rng: Generator) -> None:
    del horizon, ground
    canvas.gradient(0, canvas.height, _any_colour(rng, 0.8), _any_colour(rng, 0.8))
    size = np.array([canvas.width, canvas.height])
    for _ in range(int(rng.integers(14, 34))):
        (x, y), kind = rng.uniform(0, 1, 2) * size, int(rng.integers(5))
        extent, colour = rng.uniform(0.03, 0.16) * canvas.height, _any_colour(rng, 0.8)
        angle, inner = rng.uniform(0, 2 * np.pi), _any_colour(rng, 0.8)
        if kind == 0:
            canvas.disc(x, y, extent, colour)
            canvas.disc(x, y, 0.6 * extent, inner)
        elif kind == 1:
            canvas.disc(x, y, 0.6 * extent, colour)
        else:
            corners = 2 * np.pi * np.arange(kind + 1) / (kind + 1) + angle
            stretched = np.stack([1.5 * np.cos(corners), np.sin(corners)], 1)
            canvas.polygon((x, y) + extent * stretched, colour)


# Things


def _building(canvas: Canvas, x: float, width: float, base: float, rng: Generator) -> None:
    height = rng.uniform(0.2, 0.7) * canvas.height
    wall = _mixed((200, 180, 160), _any_colour(rng), rng.uniform(0.1, 0.6))
    canvas.rectangle(x, base - height, x + width, base, wall)
    gable, roof = rng.random() < 0.35, _mixed(wall, (70, 40, 36), 0.6)
    if gable:
        peak = base - height - 0.3 * width
        eaves = 0.04 * width
        canvas.polygon(
            [(x - eaves, base - height), (x + width / 2, peak), (x + width + eaves, base - height)],
            roof,
        )
    else:
        canvas.rectangle(x, base - height, x + width, base - 0.965 * height, roof)
    columns, rows = int(rng.integers(2, 6)), int(rng.integers(2, 6))
    glass = _mixed((60, 76, 96), (250, 226, 150), float(rng.choice([0.0, 0.1, 0.8])))
    wide, tall = rng.uniform(0.4, 0.75), rng.uniform(0.4, 0.75)
    for column in range(columns):
        for row in range(rows):
            left = x + width * (column + (1 - wide) / 2) / columns
            top = base - height * (0.93 - 0.85 * (row + (1 - tall) / 2) / rows)
            right, bottom = left + width * wide / columns, top + 0.85 * height * tall / rows
            canvas.rectangle(left, top, right, bottom, glass)


def _hills(
    canvas: Canvas,
    horizon: float,
    height: float,
    waves: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    colour: Colour,
) -> None:
    frequency, phase, weight = waves
    along = np.linspace(0, 1, 60)
    wave = weight @ np.sin(2 * np.pi * frequency[:, None] * along + phase[:, None]) / weight.sum()
    ridge = horizon - height * canvas.height * (0.5 + 0.5 * wave)
    line = np.stack([along * canvas.width, ridge], 1)
    canvas.polygon([*line, (canvas.width, canvas.height), (0, canvas.height)], colour)


def _foliage(tone: float, rng: Generator) -> Colour:
    green = np.array([rng.uniform(40, 120), rng.uniform(90, 140), rng.uniform(30, 70)])
    return _colour(tone * green)


def _tree(canvas: Canvas, x: float, base: float, rng: Generator) -> None:
    height = rng.uniform(0.2, 0.5) * canvas.height
    trunk, leaves = 0.06 * height, _foliage(1.0, rng)
    canvas.rectangle(x - trunk / 2, base - 0.5 * height, x + trunk / 2, base, (86, 64, 48))
    conifer = rng.random() < 0.3
    places = rng.uniform(-1, 1, (9, 2))
    if conifer:
        for tier in range(3):
            low, half = base - (0.15 + 0.25 * tier) * height, (0.26 - 0.06 * tier) * height
            peak = low - 0.4 * height
            canvas.polygon([(x - half, low), (x + half, low), (x, peak)], leaves)
        return
    for index, (right, up) in enumerate(places):
        shade = _mixed(leaves, (255, 255, 200), 0.03 * index)
        centre = x + 0.2 * right * height, base - (0.68 + 0.16 * up) * height
        canvas.polygon(_blob(*centre, 0.17 * height, 0.15 * height), shade)


def _bush(canvas: Canvas, x: float, base: float, size: float, tone: float, rng: Generator) -> None:
    leaves = _foliage(tone, rng)
    extent = size * canvas.height
    for index, (right, up) in enumerate(rng.uniform(-1, 1, (7, 2))):
        shade = _mixed(leaves, (255, 255, 200), 0.03 * index)
        centre = x + 1.2 * right * extent, base - (0.3 + 0.3 * up) * extent
        canvas.polygon(_blob(*centre, 0.8 * extent, 0.6 * extent), shade)


def _shrub(canvas: Canvas, x: float, base: float, rng: Generator) -> None:
    _bush(canvas, x, base, rng.uniform(0.04, 0.12), 1.0, rng)


def _post(canvas: Canvas, x: float, base: float, tone: float, rng: Generator) -> None:
    half = rng.uniform(0.008, 0.022) * canvas.height
    grey = 130 * tone
    canvas.rectangle(x - half, 0, x + half, base, (grey, grey, grey * 1.04))
    canvas.rectangle(x - half, 0, x - half / 3, base, (grey * 1.25,) * 3)


def _lamp_post(canvas: Canvas, x: float, base: float, rng: Generator) -> None:
    top = base - rng.uniform(0.45, 0.75) * canvas.height
    half, reach = 0.006 * canvas.height, rng.choice([-0.1, 0.1]) * canvas.height
    canvas.rectangle(x - half, top, x + half, base, (72, 78, 84))
    canvas.line([(x, top), (x + reach, top - 0.01 * canvas.height)], (72, 78, 84), 2 * half)
    end = x + reach, top
    canvas.polygon(_blob(*end, 0.03 * canvas.height, 0.012 * canvas.height), (250, 238, 190))


def _road_sign(canvas: Canvas, x: float, base: float, rng: Generator) -> None:
    top = base - rng.uniform(0.25, 0.45) * canvas.height
    size = rng.uniform(0.035, 0.06) * canvas.height
    canvas.rectangle(x - 0.1 * size, top, x + 0.1 * size, base, (120, 124, 128))
    if rng.random() < 0.5:
        canvas.disc(x, top, size, (200, 36, 40))
        canvas.disc(x, top, 0.72 * size, (244, 244, 240))
    else:
        canvas.rectangle(x - size, top - size, x + size, top + size, (40, 90, 180))
        canvas.rectangle(
            x - 0.6 * size, top - 0.6 * size, x + 0.6 * size, top + 0.6 * size, (240, 240, 240)
        )


def _barn(canvas: Canvas, x: float, base: float, rng: Generator) -> None:
    _building(canvas, x, 0.22 * canvas.width, base, rng)


def _fence(canvas: Canvas, base: float, rng: Generator) -> None:
    tall, step = rng.uniform(0.06, 0.1) * canvas.height, 0.06 * canvas.width
    wood = _mixed((150, 120, 90), (236, 236, 230), float(rng.random()))
    for rail in (0.35, 0.8):
        low = base - rail * tall
        canvas.rectangle(0, low - 0.1 * tall, canvas.width, low, wood)
    for index in range(18):
        x = index * step
        canvas.rectangle(x, base - tall, x + 0.2 * step, base, wood)


# Helpers


def _blob(x: float, y: float, half_width: float, half_height: float) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.stack([x + half_width * np.cos(angle), y + half_height * np.sin(angle)], 1)


def _any_colour(rng: Generator, vividness: float = 0.45) -> Colour:
    """Choose a colour of any hue; a lower `vividness` gives a greyer one."""
    colour, grey = rng.uniform(20, 250, 3), rng.uniform(70, 240)
    return _colour(vividness * colour + (1 - vividness) * grey)


def _colour(rgb: NDArray[np.float64]) -> Colour:
    red, green, blue = np.clip(rgb, 0, 255).tolist()
    return (red, green, blue)


def _mixed(first: Colour, second: Colour, share: float) -> Colour:
    return _colour((1 - share) * np.asarray(first) + share * np.asarray(second))
