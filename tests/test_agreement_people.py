"""People among themselves and with the detector, from tables made by hand."""

import pytest
from agreement_table import Made, added, deleted, kept, table_of

from backend.agreement.parameters import AgreementParameters
from backend.agreement.people import nominal_alpha, people

PARAMETERS = AgreementParameters()


def test_krippendorffs_alpha_is_that_of_his_own_example():
    """Computing Krippendorff's Alpha-Reliability, 2011, example C: nominal, 4 observers, 0.743."""
    observers = ["123321412___", "1233224125_3", "_3332342251_", "12332441251_"]
    units = []
    for labels in zip(*observers, strict=True):
        given = [label for label in labels if label != "_"]
        units.append({label: given.count(label) for label in given})
    assert nominal_alpha(units) == pytest.approx(0.743, abs=0.0005)
    assert nominal_alpha([{"1": 2}]) is None


def test_alpha_of_two_units_is_one_where_each_got_one_label_and_below_zero_where_both_are_split():
    assert nominal_alpha([{"beak": 2}, {"tail": 2}]) == 1.0
    # All four pairable values disagree within units: 1 - 1 / (2 · 2 · 2 / (4 · 3)) = -1/2.
    assert nominal_alpha([{"beak": 1, "tail": 1}, {"beak": 1, "tail": 1}]) == pytest.approx(-0.5)


def test_f1_is_averaged_over_pairs_of_annotators_and_over_annotators_with_the_detector():
    first = Made(1, [kept((10, 10)), kept((50, 50), number=1)], annotator=1)
    second = Made(1, [kept((10, 10)), deleted((50, 50), number=1)], annotator=2)
    third = Made(
        1, [kept((10, 10), by=4), added((90, 90)), deleted((50, 50), number=1)], annotator=3
    )
    found = people(table_of(first, second, third), PARAMETERS)
    assert (found.tasks, found.tasks_compared) == (1, 1)
    # {a, b} with {a}: 2/3; {a, b} with {a', c}: 2/4; {a} with {a', c}: 2/3.
    assert found.human_human.f1.value == pytest.approx((2 / 3 + 2 / 4 + 2 / 3) / 3)
    # The detector found a and b: all of the first, 2/3 of the second, 2/4 of the third.
    assert found.detector_human.f1.value == pytest.approx((1 + 2 / 3 + 2 / 4) / 3)
    assert found.human_human.f1.low is None


def test_labels_are_compared_over_suggestions_that_were_kept():
    first = Made(1, [kept((10, 10)), kept((50, 50), "tail", number=1)], annotator=1)
    second = Made(1, [kept((10, 10)), kept((50, 50), "tail", number=1)], annotator=2)
    found = people(table_of(first, second), PARAMETERS)
    assert (found.human_human.label_alpha, found.detector_human.label_alpha) == (1.0, 1.0)
    second.verdicts = [kept((10, 10), final_label="tail"), kept((50, 50), "tail", number=1)]
    found = people(table_of(first, second), PARAMETERS)
    # Units {beak, tail}, {tail, tail}: disagreement 1/2 over expected 2·1·3/(4·3) = 1/2.
    assert found.human_human.label_alpha == pytest.approx(0.0)


def test_a_radius_in_the_parameters_decides_which_points_are_the_same():
    first = Made(1, [kept((10, 10))], annotator=1)
    second = Made(1, [kept((10, 10), by=8)], annotator=2)
    table = table_of(first, second)
    assert people(table, PARAMETERS).human_human.f1.value == 0
    assert people(table, AgreementParameters(near=0.08)).human_human.f1.value == 1


def test_tasks_of_one_annotator_or_withheld_ones_are_not_compared():
    alone = Made(1, [kept((10, 10))])
    withheld = [Made(2, [added((10, 10))], annotator=n, shown=False) for n in (1, 2)]
    nobody = [Made(3, [kept((10, 10))], annotator=None) for _ in range(2)]
    found = people(table_of(alone, *withheld, *nobody), PARAMETERS)
    assert (found.tasks, found.tasks_compared) == (0, 0)
    assert found.human_human.f1 == found.detector_human.f1
    assert found.human_human.f1.reason == "no image contributes"
    assert found.human_human.label_alpha is None
