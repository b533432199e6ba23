"""Colours and fittings of a vehicle."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from drawings.canvas import Colour

TYRE: Colour = (34, 34, 38)
TREAD: Colour = (26, 26, 29)
DARK: Colour = (24, 25, 29)
SEAM: Colour = (44, 45, 50)
UNDERBODY: Colour = (48, 49, 53)
BED: Colour = (40, 41, 44)
PLASTIC: Colour = (58, 60, 65)
CHROME: Colour = (206, 210, 216)
RAIL: Colour = (96, 99, 106)
PLATE: Colour = (236, 232, 210)


@dataclass(frozen=True)
class Paint:
    """Colours and fittings; they do not depend on the type of the vehicle."""

    body: Colour
    roof: Colour
    trim: Colour  # bumpers, mirror housings
    glass: Colour
    rim: Colour
    head_lamp: Colour
    tail_lamp: Colour
    spokes: int
    stripe: Colour | None
    light: NDArray[np.float64]  # direction towards the light, unit length


def random_paint(rng: Generator) -> Paint:
    """Choose colours and fittings at random, in the same way for every type."""
    body, other = _body_colour(rng), _body_colour(rng)
    grey = _BLACK_AND_WHITE[int(rng.integers(len(_BLACK_AND_WHITE)))]
    two_tone, own_trim, striped = rng.random(3) < (0.16, 0.65, 0.16)
    light = np.array([rng.uniform(-0.7, 0.7), rng.uniform(0.35, 0.8), rng.uniform(0.7, 1.1)])
    tint, rim, lit = rng.uniform(0.6, 1.05), rng.uniform(120, 225), rng.random() < 0.3
    return Paint(
        body=body,
        roof=grey if two_tone else body,
        trim=body if own_trim else PLASTIC,
        glass=(70 * tint, 92 * tint, 108 * tint),
        rim=(rim, rim, min(255.0, rim + 6)),
        head_lamp=(255, 248, 205) if lit else (214, 226, 232),
        tail_lamp=(240, 32, 36) if lit else (178, 26, 34),
        spokes=int(rng.integers(0, 11)),
        stripe=other if striped else None,
        light=light / np.linalg.norm(light),
    )


_BLACK_AND_WHITE = ((38.0, 39.0, 43.0), (236.0, 236.0, 234.0))
_BODY_COLOURS = np.array(
    [
        (240, 240, 238), (196, 200, 205), (132, 138, 146), (70, 75, 84), (40, 42, 48),
        (196, 38, 42), (128, 28, 40), (226, 106, 38), (240, 186, 50), (222, 208, 166),
        (44, 122, 82), (30, 84, 68), (122, 168, 80), (58, 148, 164), (128, 190, 214),
        (48, 108, 190), (34, 62, 128), (104, 78, 144), (122, 84, 60), (206, 120, 138),
    ]
)  # fmt: skip


def _body_colour(rng: Generator) -> Colour:
    """Choose one of the usual colours and vary it a little."""
    chosen = _BODY_COLOURS[int(rng.integers(len(_BODY_COLOURS)))]
    red, green, blue = np.clip(chosen * rng.uniform(0.85, 1.1) + rng.uniform(-12, 12, 3), 12, 248)
    return (float(red), float(green), float(blue))


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours; `share` is that of the second."""
    red, green, blue = (
        (1 - share) * one + share * other for one, other in zip(first, second, strict=True)
    )
    return (red, green, blue)
