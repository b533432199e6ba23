"""Pairing of points by distance."""

import numpy as np
import pytest
from agreement_table import added, deleted, kept

from backend.agreement.points import final_points, paired_f1, suggested_points

VERDICTS = [kept((10, 10), by=5), deleted((20, 20)), added((30, 30))]


def test_points_are_those_that_were_suggested_and_those_that_were_left():
    assert suggested_points(VERDICTS).tolist() == [[10, 10], [20, 20]]
    assert final_points(VERDICTS).tolist() == [[15, 10], [30, 30]]
    assert final_points([]).shape == (0, 2)


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
    sets = [np.array(points, float).reshape(-1, 2) for points in (first, second)]
    assert paired_f1(*sets, radius=5.0) == pytest.approx(f1)
