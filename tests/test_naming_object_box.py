"""The box that stands for one that nobody has drawn."""

import pytest

from model.naming.object_box import object_box


def test_the_box_leaves_a_margin_around_the_points():
    """From (10, 20) to (60, 40): 0.14 of 50 px on every side, counted from the image's corner."""
    box = object_box([(10.0, 20.0), (60.0, 40.0), (30.0, 30.0)])
    assert box is not None
    sides = (box.left, box.top, box.width, box.height)
    assert sides == pytest.approx((3.5, 13.5, 64.0, 34.0))


@pytest.mark.parametrize("points", [[], [(3.0, 4.0)], [(3.0, 4.0), (3.0, 4.0)]])
def test_points_without_extent_have_no_box(points):
    assert object_box(points) is None
