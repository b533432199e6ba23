"""Colours of the report, as people see them who lack one kind of cone.

The matrices are those of Machado, Oliveira and Fernandes, "A Physiologically-based Model for
Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009, at severity 1, for linear RGB.
Distances are CIEDE2000; about 1 is just noticeable, and 10 is seen at a glance.
"""

from itertools import combinations

import numpy as np
import pytest
from matplotlib import colormaps
from skimage.color import deltaE_ciede2000, rgb2lab

from backend.agreement.offset_panels import MARK, WITH, WITHOUT
from backend.agreement.pictures import MAP_COLOURS
from backend.agreement.plots import BLUE, CELL_COLOURS, DARKEST, INK, ORANGE, VERDICT_COLOURS
from backend.agreement.verdict_svg import EMPTY, MARK_COLOURS

FEWEST = 15.0
SIGHTS = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
USED_TOGETHER = {
    "verdicts": list(VERDICT_COLOURS.values()),
    "marks": list(MARK_COLOURS.values()),
    "lines": [BLUE, ORANGE],
    "landmarks": [BLUE, ORANGE, INK],
    "offsets": [WITHOUT, WITH, MARK],
}


def channels(colour: str) -> np.ndarray:
    return np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255


def linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def seen(colour: str, sight: str) -> np.ndarray:
    """CIE Lab of a colour as it appears."""
    light = np.clip(np.array(SIGHTS[sight]) @ linear(channels(colour)), 0, 1)
    rgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return rgb2lab(rgb[None, None])[0, 0]


def luminance(rgb: np.ndarray) -> float:
    return float(linear(rgb) @ [0.2126, 0.7152, 0.0722])


def contrast(first: np.ndarray, second: np.ndarray) -> float:
    """Contrast of two colours by WCAG."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def nearest(colours: list[str], sight: str) -> float:
    """Distance of the two colours that are most alike."""
    lab = [seen(colour, sight) for colour in colours]
    return min(float(deltaE_ciede2000(*pair)) for pair in combinations(lab, 2))


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("used", USED_TOGETHER)
def test_colours_that_are_used_together_are_told_apart(used, sight):
    assert nearest(USED_TOGETHER[used], sight) >= FEWEST


def test_the_simulation_finds_red_and_green_alike_without_the_cones_for_green():
    red_and_green = ["#c8453c", "#7a7a20"]
    assert nearest(red_and_green, "all cones") > 30
    assert nearest(red_and_green, "deuteranopia") < FEWEST


@pytest.mark.parametrize("sight", SIGHTS)
def test_maps_get_brighter_from_low_to_high(sight):
    """Then they are read right without any colour."""
    steps = colormaps[MAP_COLOURS](np.linspace(0, 1, 12))[:, :3]
    lightness = [
        seen("#" + bytes((rgb * 255).astype(int).tolist()).hex(), sight)[0] for rgb in steps
    ]
    assert (np.diff(lightness) > 3).all()


def test_shares_can_be_read_over_their_cells():
    for share in np.linspace(0, 1, 101):
        cell = np.array(colormaps[CELL_COLOURS](share / DARKEST)[:3])
        assert contrast(channels(INK), cell) >= 4.5


def test_marks_are_seen_where_the_image_is_missing():
    """All but the line and the blue dot, whose rim is white, stand out by themselves."""
    for name in ("added", "suggested"):
        assert contrast(channels(MARK_COLOURS[name]), channels(EMPTY)) >= 3
