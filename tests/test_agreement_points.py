"""Pairing of points by distance."""

import numpy as np
import pytest
from agreement_table import added, deleted, kept

from backend.agreement.points import (
    Points,
    detected_points,
    final_points,
    paired_f1,
    suggested_points,
)

VERDICTS = [kept((10, 10), by=5, length=40.0), deleted((20, 20)), added((30, 30), "tail")]


def test_points_are_those_that_were_suggested_and_those_that_were_left():
    assert suggested_points(VERDICTS, 100.0).position.tolist() == [[10, 10], [20, 20]]
    found = final_points(VERDICTS, 100.0)
    assert found.position.tolist() == [[15, 10], [30, 30]]
    assert (found.length.tolist(), found.label) == ([40, 100], ["beak", "tail"])
    assert final_points([], 100.0).position.shape == (0, 2)


def points(*places: tuple[float, float], length: float = 100.0) -> Points:
    return Points(
        np.array(places, float).reshape(-1, 2), np.full(len(places), length), [""] * len(places)
    )


@pytest.mark.parametrize(
    ("first", "second", "f1"),
    [
        ([(0, 0)], [(3, 4)], 1.0),
        ([(0, 0)], [(3, 4.1)], 0.0),
        ([(0, 0), (1, 0)], [(0, 0)], 2 / 3),  # one to one
        ([(0, 0)], [], 0.0),
        ([], [], 1.0),
    ],
)
def test_f1_counts_points_that_are_paired_one_to_one_within_the_radius(first, second, f1):
    assert paired_f1(points(*first), points(*second), near=0.05) == pytest.approx(f1)


def test_the_shorter_of_two_lengths_decides_and_detections_have_none():
    near, far = points((3, 4), length=100.0), points((3, 4), length=90.0)
    assert paired_f1(points((0, 0)), near, 0.05) == 1
    assert paired_f1(points((0, 0)), far, 0.05) == 0
    assert paired_f1(detected_points(np.zeros((1, 2))), near, 0.05) == 1
    assert paired_f1(detected_points(np.zeros((1, 2))), far, 0.05) == 0
