"""Pairs of suggestions and final points of the same label."""

import numpy as np
from agreement_table import Made, added, columns_of, deleted, kept
from hypothesis import given
from hypothesis import strategies as st

from backend.agreement.label_matching import label_hits
from model.matching import match_points


def hits(*verdicts):
    suggested, final = label_hits(columns_of(Made(1, verdicts)), 0.05)
    return suggested.tolist(), final.tolist()


def test_a_kept_suggestion_is_a_hit_within_the_radius_where_its_label_was_kept():
    assert hits(kept((10, 10), by=4), kept((30, 30), by=9), kept((50, 50), final_label="tail")) == (
        [True, False, False],
        [True, False, False],
    )


def test_a_point_drawn_again_where_one_of_its_label_was_deleted_is_a_hit():
    found = hits(deleted((10, 10)), added((12, 10)), deleted((50, 50)), added((51, 50), "tail"))
    assert found == ([True, False, False, False], [False, True, False, False])


def test_pairs_are_one_to_one_and_the_nearest_come_first():
    found = hits(deleted((10, 10)), deleted((13, 10)), added((14, 10)))
    assert found == ([False, True, False], [False, False, True])


def test_a_suggestion_relabelled_away_may_be_the_partner_of_another_point():
    found = hits(kept((10, 10), final_label="tail"), added((11, 10)))
    assert found == ([True, False], [False, True])


def test_the_radius_is_that_of_the_object_where_it_is_known():
    small = {"length": 20.0, "area": 400.0, "object": 0}
    assert hits(kept((10, 10), by=0.9, **small), kept((10, 10), by=1.1, **small)) == (
        [True, False],
        [True, False],
    )


def test_points_of_different_annotations_are_never_paired():
    columns = columns_of(Made(1, [deleted((10, 10))]), Made(1, [added((10, 10))], annotator=2))
    assert not np.any(label_hits(columns, 0.05))


places = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8, unique=True)


@given(places, places)
def test_at_least_half_as_many_pairs_are_found_as_there_can_be(suggested, final):
    """Taking the nearest pair first can miss no more."""
    verdicts = [*map(deleted, suggested), *map(added, final)]
    found, other = hits(*verdicts) if verdicts else ([], [])
    most = len(
        match_points(*(np.array(each, float).reshape(-1, 2) for each in (suggested, final)), 5)
    )
    assert sum(found) == sum(other)
    assert most / 2 <= sum(found) <= most
