"""Annotators who accept everything at once."""

import numpy as np
import pytest
from agreement_table import Made, added, columns_of, deleted, kept

from backend.agreement.parameters import AgreementParameters
from backend.agreement.rubber_stamping import RubberStamping, rubber_stamping

PARAMETERS = AgreementParameters()
ALL = [kept((10 * n, 10)) for n in range(10)]


def careful(task: int, annotator: int, random: np.random.Generator) -> Made:
    points = [
        kept((10 * n, 10)) if random.random() < 0.4 else deleted((10 * n, 10)) for n in range(10)
    ]
    return Made(task, points, annotator=annotator, lead_time=25.0)


def measured(*made: Made) -> RubberStamping:
    return rubber_stamping(columns_of(*made), PARAMETERS)


def test_who_accepts_all_in_three_seconds_is_flagged_and_the_headline_given_without_them():
    random = np.random.default_rng(1)
    stamped = [Made(task, ALL, annotator=9, lead_time=3.0) for task in range(30)]
    made = [careful(task, annotator, random) for task in range(30) for annotator in (1, 2, 3)]
    found = measured(*stamped, *made)
    assert [(each.annotator, each.flagged) for each in found.annotators] == [
        ("9", True), ("1", False), ("2", False), ("3", False),
    ]  # fmt: skip
    assert (found.annotators[0].hasty.value, found.annotators[0].others) == (1.0, 0.0)
    assert found.everybody.acceptance.value > found.without.acceptance.value + 0.1
    assert found.without.acceptance.value == pytest.approx(0.4, abs=0.05)


def test_nobody_is_flagged_for_few_annotations_or_where_there_is_nobody_to_compare_with():
    random = np.random.default_rng(2)
    made = [careful(task, 1, random) for task in range(30)]
    few = [Made(task, ALL, annotator=9, lead_time=3.0) for task in range(19)]
    found = measured(*few, *made)
    assert not any(each.flagged for each in found.annotators)
    assert found.without is None
    [alone] = measured(*[Made(task, ALL, lead_time=3.0) for task in range(30)]).annotators
    assert (alone.hasty.value, alone.others, alone.flagged) == (1.0, None, False)


def test_a_single_hasty_annotation_is_no_flag_where_the_others_have_none():
    random = np.random.default_rng(3)
    made = [careful(task, annotator, random) for task in range(30) for annotator in (1, 2, 3)]
    once = [*(careful(task, 9, random) for task in range(29)), Made(29, ALL, 9, lead_time=3.0)]
    found = {each.annotator: each for each in measured(*made, *once).annotators}
    assert found["9"].hasty.value == pytest.approx(1 / 30)
    assert found["9"].others == 0.0
    assert not any(each.flagged for each in found.values())


@pytest.mark.parametrize(
    ("points", "seconds", "hasty"),
    [
        (ALL, 9.9, 1.0),
        (ALL, 10.1, 0.0),
        ([*ALL, added((5, 5))], 3.0, 0.0),
        ([*ALL, kept((5, 5), by=2)], 3.0, 0.0),
        (ALL, 0.0, None),
        (ALL, None, None),
        (ALL, 7200.0, None),
        ([], 3.0, None),
    ],
)
def test_hasty_is_unchanged_and_below_a_second_a_point(points, seconds, hasty):
    [found] = measured(Made(1, points, lead_time=seconds)).annotators
    assert found.hasty.value == hasty


def test_annotations_of_unknown_people_are_nobodys():
    assert measured(Made(1, ALL, annotator=None, lead_time=3.0)).annotators == []
