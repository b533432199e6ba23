"""Layouts of examples, laid over the evidence."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.naming.grid import bumps
from model.naming.layouts import (
    ANYWHERE,
    FEWEST_LAYOUTS,
    IN_BOX,
    OUTSIDE,
    Search,
    _fits,
    _spread,
    _variants,
    vote,
)

BIRD = np.array([[0.2, 0.4], [0.3, 0.3], [np.nan, np.nan], [0.8, 0.6]])
MIRRORED = np.array([[0.8, 0.4], [np.nan, np.nan], [0.7, 0.3], [0.2, 0.6]])


def evidence(points):
    return bumps(points, 40, 0.05)


@given(st.integers(0, 10_000))
def test_the_fit_is_the_sum_of_the_gains_at_the_points(seed):
    random = np.random.RandomState(seed)
    gain = random.standard_normal((3, 64))
    layouts = random.uniform(-0.3, 1.3, (6, 3, 2)).astype(np.float32)
    layouts[random.uniform(size=(6, 3)) < 0.3] = np.nan
    for layout, found in zip(layouts, _fits(gain, layouts, 8), strict=True):
        expected = 0.0
        for label, (x, y) in enumerate(layout):
            if np.isfinite(x):
                column, row = int(np.floor(x * 8)), int(np.floor(y * 8))
                inside = 0 <= column < 8 and 0 <= row < 8
                expected += gain[label, row * 8 + column] if inside else OUTSIDE
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_without_scale_rotation_or_shift_a_layout_varies_into_itself():
    still = Search(scales=(1.0,), rotations=(0.0,), shifts=(0.0,))
    np.testing.assert_allclose(_variants(BIRD[None], still)[0], BIRD, atol=1e-6)


def test_a_layout_turns_around_the_middle_and_keeps_its_distances():
    turned = _variants(BIRD[None], Search(scales=(2.0,), rotations=(90.0,), shifts=(0.0,)))[0]
    before = np.linalg.norm(BIRD[0] - BIRD[3])
    np.testing.assert_allclose(np.linalg.norm(turned[0] - turned[3]), 2 * before, rtol=1e-5)
    np.testing.assert_allclose(
        np.linalg.norm(turned[0] - 0.5), 2 * np.linalg.norm(BIRD[0] - 0.5), rtol=1e-5
    )


def test_of_too_many_layouts_those_at_even_steps_are_tried_and_fewer_with_many_labels():
    numbers = np.arange(900.0)
    few, many, most = (np.broadcast_to(numbers[:, None, None], (900, n, 2)) for n in (15, 150, 999))
    assert len(_spread(few[:400], IN_BOX)) == 400
    np.testing.assert_array_equal(_spread(few, IN_BOX)[:3, 0, 0], [0, 2, 4])
    assert len(_spread(few, ANYWHERE)) == ANYWHERE.most
    assert len(_spread(many, IN_BOX)) == 40
    assert len(_spread(most, ANYWHERE)) == FEWEST_LAYOUTS


def test_the_fitting_layout_says_which_labels_are_visible():
    votes = vote(evidence(BIRD), np.stack([BIRD, MIRRORED]), IN_BOX)
    np.testing.assert_allclose(votes.visible, [1, 1, 0, 1], atol=0.02)


def test_votes_lie_where_the_layout_fits():
    moved = BIRD + 0.04
    votes = vote(evidence(moved), BIRD[None], IN_BOX)
    for label in (0, 1, 3):
        row, column = np.unravel_index(votes.places[label].argmax(), (40, 40))
        np.testing.assert_allclose((np.array([column, row]) + 0.5) / 40, moved[label], atol=0.03)


def test_labels_that_no_layout_has_keep_their_evidence():
    votes = vote(evidence(BIRD), BIRD[None], IN_BOX)
    total = votes.added_to(evidence(BIRD))
    np.testing.assert_array_equal(total[2], evidence(BIRD)[2])


def test_without_a_layout_nobody_votes():
    votes = vote(evidence(BIRD), np.full((2, 4, 2), np.nan), IN_BOX)
    assert not votes.visible.any()
    np.testing.assert_array_equal(votes.added_to(evidence(BIRD)), evidence(BIRD))


def test_more_layouts_than_allowed_are_taken_at_even_steps():
    layouts = np.stack([MIRRORED, MIRRORED, BIRD, MIRRORED])
    few = Search(most=2)  # the first and the third
    np.testing.assert_allclose(vote(evidence(BIRD), layouts, few).visible, [1, 1, 0, 1], atol=0.02)
