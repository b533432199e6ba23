"""The share of a rectangle that lies near a point."""

import math

import numpy as np
import pytest

from backend.agreement.chance import share_within


def one(x, y, radius, edges=(0, 0, 100, 50)) -> float:
    return share_within(*(np.array([each], float) for each in (x, y, radius, edges))).item()


@pytest.mark.parametrize(
    ("x", "y", "part"), [(50, 25, 1), (0, 25, 1 / 2), (50, 50, 1 / 2), (100, 0, 1 / 4)]
)
def test_a_disc_is_cut_at_the_edges(x, y, part):
    assert one(x, y, 5) == pytest.approx(part * math.pi * 25 / 5000)


def test_a_disc_around_the_rectangle_covers_it_and_one_beside_it_does_not():
    assert one(50, 25, 60) == pytest.approx(1)
    assert one(120, 25, 10) == 0
    assert one(50, 25, 0.0) == 0


def test_a_disc_over_several_edges_is_as_large_as_random_points_say():
    random = np.random.default_rng(1)
    points = random.uniform((10, 20), (50, 90), (200_000, 2))
    for x, y, radius in [(12, 30, 9), (49, 89, 30), (30, 55, 38), (5, 15, 20), (30, 95, 25)]:
        inside = np.hypot(*(points - (x, y)).T) <= radius
        assert one(x, y, radius, (10, 20, 50, 90)) == pytest.approx(inside.mean(), abs=0.004)
