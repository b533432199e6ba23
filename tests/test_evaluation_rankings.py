"""Rankings, baselines and changed copies: places are right and budgets equal."""

import numpy as np
import pytest

from model.keypoint import Box
from studies.evaluation import baselines
from studies.evaluation.rankings import MapRanking, grid, strongest, uniform
from studies.evaluation.repeatability import changes
from studies.evaluation.rows import inside

BOX = Box(20, 10, 100, 60)


@pytest.fixture(scope="module")
def picture():
    """A white square on grey, its corners at (49.5, 29.5) and (89.5, 59.5), and some texture."""
    rng = np.random.default_rng(0)
    image = rng.integers(118, 122, (90, 140, 3)).astype(np.uint8)
    image[30:60, 50:90] = 250
    return image


def test_a_peak_lies_at_the_centre_of_its_cell_on_the_original():
    values = np.zeros((6, 10))
    values[2, 3], values[5, 9] = 2.0, 1.0
    points = MapRanking(values, BOX)(20, 5.0)
    np.testing.assert_allclose(points, [[20 + 35 - 0.5, 10 + 25 - 0.5], [119 - 4.5, 69 - 4.5]])


@pytest.mark.parametrize("slots", [10, 20, 40])
def test_a_grid_has_as_many_points_as_slots_and_spares_no_end_of_the_box(slots):
    points = grid(BOX)(slots, 3.0)
    assert len(points) == slots
    assert inside(points, BOX).all()
    assert np.ptp(points[:, 0]) > 0.6 * BOX.width
    assert np.ptp(points[:, 1]) > 0.6 * BOX.height


def test_uniform_points_keep_their_distance_and_repeat_by_seed():
    points = uniform(BOX, 1)(20, 8.0)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(20)
    assert gaps.min() > 8
    assert inside(points, BOX).all()
    np.testing.assert_array_equal(points, uniform(BOX, 1)(20, 8.0))
    assert not np.array_equal(points, uniform(BOX, 2)(20, 8.0))


def test_of_two_near_points_the_weaker_is_left_out():
    points = np.array([[0.0, 0], [1, 0], [9, 0]])
    found = strongest(points, np.array([1.0, 3.0, 2.0]))(20, 2.0)
    np.testing.assert_array_equal(found, [[1, 0], [9, 0]])


@pytest.mark.parametrize("name", ["Harris", "Shi-Tomasi"])
def test_corner_detectors_find_the_corners_of_a_square(picture, name):
    box = Box(30, 15, 90, 60)
    points = baselines.without_network(picture, box, seed=0)[name](4, 10.0)
    corners = {(49.5, 29.5), (89.5, 29.5), (49.5, 59.5), (89.5, 59.5)}
    nearest = {
        min(corners, key=lambda corner, point=point: np.hypot(*(point - corner)))
        for point in points
    }
    assert nearest == corners
    for point in points:
        assert min(np.hypot(*(point - corner)) for corner in corners) < 3


def test_every_baseline_stays_in_its_box(picture):
    for name, ranking in baselines.without_network(picture, BOX, seed=0).items():
        points = ranking(20, 3.0)
        assert inside(points, BOX).all(), name
        assert len(points) <= 20


def test_the_centre_gaussian_prefers_the_middle(picture):
    points = baselines.without_network(picture, BOX, seed=0)["centre Gaussian"](20, 3.0)
    assert len(points) == 20
    np.testing.assert_allclose(points.mean(axis=0), [69.5, 39.5], atol=4)


def test_a_point_goes_to_a_changed_copy_and_back(picture):
    """The bright square's middle is found again at its place on every copy."""
    middle = np.array([[69.5, 44.5]])
    for name, changed in changes(picture, BOX).items():
        moved = middle @ changed.matrix[:, :2].T + changed.matrix[:, 2]
        np.testing.assert_allclose(changed.back(moved), middle, atol=1e-9)
        bright = np.argwhere(changed.picture[..., 0] > 185)[:, ::-1].mean(axis=0)
        np.testing.assert_allclose(bright, moved[0], atol=0.6, err_msg=name)
        assert inside(moved, changed.box).all()
