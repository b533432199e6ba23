"""People among themselves and with the detector, from tables made by hand."""

from collections.abc import Sequence

import pytest
from agreement_table import Made, added, deleted, kept, table_of

from backend.agreement.parameters import AgreementParameters
from backend.agreement.people import people
from backend.verdicts.judging import Verdict

PARAMETERS = AgreementParameters()


def withheld(task: int, verdicts: Sequence[Verdict], annotator: int) -> Made:
    return Made(task, verdicts, annotator=annotator, shown=False)


def test_f1_is_averaged_over_pairs_of_annotators_and_over_annotators_with_the_detector():
    first = withheld(1, [kept((10, 10)), kept((50, 50), number=1)], 1)
    second = withheld(1, [kept((10, 10)), deleted((50, 50), number=1)], 2)
    third = withheld(1, [kept((10, 10), by=4), added((90, 90)), deleted((50, 50), number=1)], 3)
    found = people(table_of(first, second, third), PARAMETERS)
    assert (found.tasks, found.tasks_compared, found.reason) == (1, 1, None)
    # {a, b} with {a}: 2/3; {a, b} with {a', c}: 2/4; {a} with {a', c}: 2/3.
    assert found.human_human.f1.value == pytest.approx((2 / 3 + 2 / 4 + 2 / 3) / 3)
    # The detector found a and b: all of the first, 2/3 of the second, 2/4 of the third.
    assert found.detector_human.f1.value == pytest.approx((1 + 2 / 3 + 2 / 4) / 3)
    assert found.human_human.f1.low is None
    # Pairs of people: a with a, then a with a' twice, 4 px apart; the image is 100 px wide.
    assert found.human_human.distance_px.value == pytest.approx(8 / 3)
    assert found.human_human.normalised_error.value == pytest.approx(8 / 300)
    assert found.detector_human.distance_px.value == pytest.approx(4 / 4)


def test_labels_are_those_of_paired_points():
    first = withheld(1, [added((10, 10)), added((50, 50), "tail")], 1)
    second = withheld(1, [added((11, 10)), added((51, 50), "tail")], 2)
    assert people(table_of(first, second), PARAMETERS).human_human.label_alpha.value == 1.0
    second.verdicts = [added((11, 10), "tail"), added((51, 50), "tail")]
    found = people(table_of(first, second), PARAMETERS)
    # Units {beak, tail}, {tail, tail}: disagreement 1/2 over expected 2·1·3/(4·3) = 1/2.
    assert found.human_human.label_alpha.value == pytest.approx(0.0)
    assert found.human_human.label_alpha.reason == "1 of at least 10 tasks"
    assert found.detector_human.label_alpha.value is None
    assert found.detector_human.label_alpha.reason == "nothing was labelled twice"


def test_a_radius_in_the_parameters_decides_which_points_are_the_same():
    table = table_of(withheld(1, [kept((10, 10))], 1), withheld(1, [kept((10, 10), by=8)], 2))
    assert people(table, PARAMETERS).human_human.f1.value == 0
    assert people(table, AgreementParameters(near=0.08)).human_human.f1.value == 1


def test_the_radius_is_that_of_the_object_where_it_is_known():
    """A suggestion 3 px off counts in an image of 100 px, and not on an object of 10 px."""
    small = {"length": 10.0, "area": 100.0, "object": 0}
    for size, f1 in (({}, 1.0), (small, 0.0)):
        points = [kept((10, 10), by=3, **size)]
        found = people(table_of(withheld(1, points, 1), withheld(1, points, 2)), PARAMETERS)
        assert found.detector_human.f1.value == f1
        assert found.human_human.f1.value == 1.0


def test_people_who_both_saw_the_suggestions_are_no_ceiling():
    """They agree because of the suggestions, not because the points are plain to see."""
    both = [Made(task, [kept((10, 10))], annotator=n) for task in range(9) for n in (1, 2)]
    found = people(table_of(*both), PARAMETERS)
    assert (found.tasks, found.tasks_shown) == (0, 9)
    assert found.reason == "both saw the suggestions: no ceiling"
    assert found.human_human.f1.value is found.detector_human.f1.value is None


def test_tasks_of_one_annotator_are_not_compared():
    alone = Made(1, [kept((10, 10))], shown=False)
    mixed = [Made(2, [added((10, 10))], annotator=n, shown=n == 1) for n in (1, 2)]
    nobody = [Made(3, [kept((10, 10))], annotator=None, shown=False) for _ in range(2)]
    found = people(table_of(alone, *mixed, *nobody), PARAMETERS)
    assert (found.tasks, found.tasks_compared, found.tasks_shown) == (0, 0, 0)
    assert found.reason == "no task has several annotators"
    assert found.human_human.f1 == found.detector_human.f1
    assert found.human_human.f1.reason == "no image contributes"
    assert found.human_human.label_alpha.value is None
