"""Work with one landmark placed and the others following, counted by hand."""

import pytest
from naming_scene import example
from test_studies_work_saved import case, right

from model.naming.learner import NamedPoint
from studies.naming.accuracy import POOLED
from studies.naming.interactive import (
    AGAIN,
    ONCE,
    Session,
    actions_again,
    actions_of,
    actions_once,
    first_landmark,
    followed,
    measure_interactive,
    share_of,
)
from studies.naming.sequence import SCRATCH
from studies.naming.tables import interactive_table

HIDDEN = NamedPoint("right eye", 50.0, 50.0, 1.0, 1.0)


class Suggests:
    """A model that suggests the same until enough is given."""

    def __init__(self, *rounds):
        self.rounds = list(rounds)
        self.given = []

    def predict(self, features, given):
        self.given.append(dict(given))
        points = self.rounds[min(len(self.given), len(self.rounds)) - 1]
        return [point for point in points if point.label not in given]


def test_the_first_landmark_is_the_first_visible_one_of_the_configuration():
    assert first_landmark(case(0)) == "beak"


def test_one_action_is_enough_if_everything_else_follows_in_its_place():
    """The right eye is hidden and not suggested: one more action decides that."""
    points = [right("left eye"), right("tail")]
    assert actions_once(case(0), "beak", points) == 2
    assert actions_again(case(0), "beak", Suggests(points)) == 2


def test_every_kind_of_correction_is_an_action():
    """Beak placed, tail moved, the right eye deleted, the left eye placed."""
    points = [right("tail", off=8.0), HIDDEN]
    assert actions_once(case(0), "beak", points) == 4
    assert actions_again(case(0), "beak", Suggests(points)) == 4


def test_a_corrected_point_sharpens_those_that_are_still_wrong():
    """Left eye and tail are wrong at first; with the left eye given, the tail is right."""
    model = Suggests([right("left eye", off=9.0), right("tail", off=9.0)], [right("tail")])
    assert actions_again(case(0), "beak", model) == 3  # beak, left eye, and no right eye
    points = example(0).points
    assert model.given[-1] == {label: points[label] for label in ("beak", "left eye")}


def session(draw, once, scratch):
    actions = {SCRATCH: scratch, ONCE: once, AGAIN: once}
    return Session(POOLED, 3, draw, "image", actions, 0.5)


def test_shares_are_of_the_sums_of_a_draw_and_errors_are_over_draws():
    sessions = [session(0, 2, 4), session(0, 4, 8), session(1, 2, 8)]
    assert share_of(sessions, ONCE).mean == pytest.approx((50 + 25) / 2)
    assert share_of(sessions, ONCE).error == pytest.approx(12.5)
    assert actions_of(sessions, ONCE).mean == pytest.approx((3 + 2) / 2)
    assert followed(sessions).mean == 50


def test_interactive_work_is_less_than_placing_everything_where_birds_are_alike():
    train = [case(number) for number in range(6)]
    test = [case(number) for number in range(20, 24)]
    sessions = list(measure_interactive(train, test, POOLED, 5, 2, most=3))
    assert len(sessions) == 6
    assert all(each.actions[AGAIN] <= each.actions[SCRATCH] for each in sessions)
    assert share_of(sessions, AGAIN).mean < 75
    assert "pooled, 5" in interactive_table(sessions)
