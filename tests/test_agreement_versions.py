"""Model versions on the same tasks, from tables made by hand."""

import pytest
from agreement_table import Made, detection, kept, table_of

from backend.agreement.parameters import AgreementParameters
from backend.agreement.versions import model_versions

PARAMETERS = AgreementParameters()


def test_versions_are_paired_on_tasks_that_both_predicted():
    made = [Made(task, [kept((10, 10)), kept((50, 50), number=1)]) for task in range(1, 7)]
    detections = [detection(task, "b", (10, 10), (50, 50)) for task in range(1, 7)]
    detections += [detection(task, "a", (10, 12), (90, 90)) for task in range(1, 6)]
    [pair] = model_versions(table_of(*made, detections=detections), PARAMETERS)
    assert (pair.first, pair.second, pair.tasks) == ("a", "b", 5)
    assert (pair.first_f1.value, pair.second_f1.value) == (0.5, 1.0)
    assert (pair.difference.value, pair.difference.reason) == (0.5, "the images do not differ")
    assert pair.difference.n == 5


def test_the_f1_of_a_task_is_averaged_over_its_annotators_shown_and_withheld():
    made = [
        Made(1, [kept((10, 10))], annotator=1),
        Made(1, [kept((10, 10)), kept((50, 50), number=1)], annotator=2, shown=False),
    ]
    detections = [detection(1, "a", (10, 10)), detection(1, "b")]
    [pair] = model_versions(table_of(*made, detections=detections), PARAMETERS)
    assert pair.first_f1.value == pytest.approx((1 + 2 / 3) / 2)
    assert pair.second_f1.value == 0.0
    assert (pair.difference.low, pair.difference.high) == (None, None)


def test_every_pair_of_versions_is_compared_in_the_order_of_their_names():
    detections = [detection(1, name, (10, 10)) for name in ("c", "a", "b")]
    found = model_versions(table_of(Made(1, [kept((10, 10))]), detections=detections), PARAMETERS)
    assert [(each.first, each.second) for each in found] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_one_version_alone_is_compared_with_nothing():
    table = table_of(Made(1, [kept((10, 10))]), detections=[detection(1, "a", (10, 10))])
    assert model_versions(table, PARAMETERS) == []
