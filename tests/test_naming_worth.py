"""A suggestion is shown where it is expected to cost less than none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.naming.learner import NamedPoint
from model.naming.worth import (
    COST_MODELS,
    STANDARD,
    Costs,
    is_worth_showing,
    seconds_saved,
    worth_showing,
)

chances = st.floats(0, 1)


def point(visible, right):
    return NamedPoint("beak", 0.0, 0.0, right, visible)


def test_a_sure_point_saves_placing_less_verifying():
    assert seconds_saved(point(1.0, 1.0)) == pytest.approx(3.4 - 0.8)


def test_a_point_of_a_hidden_label_costs_a_look_and_a_deletion():
    assert seconds_saved(point(0.0, 0.0)) == pytest.approx(0.6 - 0.8 - 1.3)


def test_a_misplaced_point_costs_a_look_and_a_drag():
    assert seconds_saved(point(1.0, 0.0)) == pytest.approx(3.4 - 0.8 - 2.2)


def test_where_dragging_is_dearer_a_misplaced_point_is_deleted_and_placed_anew():
    costs = Costs(place=1.0, drag=50.0, delete=1.0)
    assert seconds_saved(point(1.0, 0.0), costs) == pytest.approx(1.0 - (0.8 + 1.0 + 1.0))


@given(chances, chances, st.sampled_from(list(COST_MODELS.values())), st.integers(0, 1000))
def test_the_expected_saving_is_the_mean_over_what_may_happen(visible, share, costs, seed):
    """Average the cost of each of the three outcomes, drawn at random."""
    right = visible * share
    random = np.random.default_rng(seed).uniform(size=20_000)
    correct, hidden = random < right, random >= visible
    shown = costs.verify + np.where(hidden, costs.delete, np.where(correct, 0.0, costs.drag))
    without = np.where(hidden, costs.absent, costs.place)
    assert seconds_saved(point(visible, right), costs) == pytest.approx(
        (without - shown).mean(), abs=0.25
    )


@given(chances, chances, chances)
def test_a_better_score_never_hides_a_point(visible, first, second):
    low, high = sorted((first * visible, second * visible))
    assert is_worth_showing(point(visible, high)) or not is_worth_showing(point(visible, low))


def test_only_what_is_worth_it_is_shown_in_the_same_order():
    points = [point(1.0, 0.9), point(0.1, 0.05), point(0.9, 0.6)]
    assert worth_showing(points, STANDARD) == [points[0], points[2]]


def test_negative_seconds_are_refused():
    with pytest.raises(ValueError, match="expected drag ≥ 0 seconds, got -1"):
        Costs(drag=-1)
