"""The box around the evidence."""

import numpy as np
import pytest

from model.keypoint import Box
from model.peaks.activation_region import activation_region

BOX = Box(10, 20, 80, 40)


def evidence():
    cells = np.zeros((4, 8))
    cells[1, 2], cells[2, 5], cells[0, 0] = 1.0, 0.6, 0.1
    return cells


def test_it_holds_the_cells_above_the_threshold_and_no_others():
    assert activation_region(evidence(), BOX, threshold=0.5, margin=0) == Box(30, 30, 40, 20)
    assert activation_region(evidence(), BOX, threshold=0.05, margin=0) == Box(10, 20, 60, 30)


def test_the_margin_is_a_share_of_the_region_and_ends_at_the_box():
    assert activation_region(evidence(), BOX, threshold=0.5, margin=0.5) == Box(10, 20, 80, 40)
    assert activation_region(evidence(), BOX, threshold=0.5, margin=0.25) == Box(20, 25, 60, 30)


def test_it_is_made_of_whole_pixels():
    box = activation_region(evidence(), Box(3, 5, 77, 41), threshold=0.5, margin=0.1)
    for number in (box.left, box.top, box.width, box.height):
        assert number == round(number)


def test_no_evidence_leaves_the_whole_box():
    assert activation_region(np.zeros((4, 8)), BOX, threshold=0.5, margin=0) == BOX


@pytest.mark.parametrize("threshold", [0.05, 0.5, 1.0])
def test_the_strongest_cell_is_always_inside(threshold):
    region = activation_region(evidence(), BOX, threshold=threshold, margin=0)
    assert region.left <= 30 and region.left + region.width >= 40
    assert region.top <= 30 and region.top + region.height >= 40
