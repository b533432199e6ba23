"""Pairing of points by distance."""

import numpy as np
import pytest

from backend.agreement.points import Points, detected_points, paired_f1


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
