"""Model versions on the same tasks, from tables made by hand."""

import numpy as np
import pytest
from agreement_table import Made, added, detection, kept, table_of

from backend.agreement.parameters import AgreementParameters
from backend.agreement.versions import model_versions

PARAMETERS = AgreementParameters()


def test_versions_are_paired_on_tasks_that_both_predicted():
    points = [added((10, 10)), added((50, 50))]
    made = [Made(task, points, shown=False) for task in range(1, 7)]
    detections = [detection(task, "b", (10, 10), (50, 50)) for task in range(1, 7)]
    detections += [detection(task, "a", (10, 12), (90, 90)) for task in range(1, 6)]
    [pair] = model_versions(table_of(*made, detections=detections), PARAMETERS)
    found = pair.neither
    assert (pair.first, pair.second, found.tasks) == ("a", "b", 5)
    assert (found.first_f1.value, found.second_f1.value) == (0.5, 1.0)
    assert (found.difference.value, found.difference.reason) == (0.5, "the images do not differ")
    assert found.difference.n == 5


def test_the_version_that_annotators_saw_is_not_taken_for_the_better_one():
    """Both versions are random; annotators kept the points of the second where they saw them."""
    random = np.random.default_rng(1)
    made, detections = [], []
    for task in range(80):
        first, second, own = (random.uniform(0, 99, (12, 2)).tolist() for _ in range(3))
        detections += [detection(task, "a", *first), detection(task, "b", *second)]
        shown = task < 40
        points = [kept(each) for each in second] if shown else [added(each) for each in own]
        made.append(Made(task, points, shown=shown, model_version="b"))
    [pair] = model_versions(table_of(*made, detections=detections), PARAMETERS)
    assert pair.saw_second.difference.low > 0.7
    assert pair.neither.tasks == pair.saw_second.tasks == 40
    assert pair.neither.difference.low < 0 < pair.neither.difference.high
    assert abs(pair.neither.difference.value) < 0.05
    assert (pair.saw_first.tasks, pair.saw_first.difference.reason) == (0, "no image has both")


def test_the_f1_of_a_task_is_averaged_over_annotators_who_saw_the_same():
    made = [
        Made(1, [kept((10, 10))], annotator=1, model_version="a"),
        Made(1, [kept((10, 10)), kept((50, 50), number=1)], annotator=2, shown=False),
        Made(1, [added((10, 10))], annotator=3, shown=False),
        Made(1, [kept((10, 10))], annotator=4, model_version="another"),
    ]
    detections = [detection(1, "a", (10, 10)), detection(1, "b")]
    [pair] = model_versions(table_of(*made, detections=detections), PARAMETERS)
    assert pair.neither.first_f1.value == pytest.approx((1 + 2 / 3) / 2)
    assert pair.neither.second_f1.value == 0.0
    assert (pair.neither.difference.low, pair.neither.difference.high) == (None, None)
    assert (pair.saw_first.first_f1.value, pair.saw_second.tasks) == (1.0, 0)


def test_the_radius_is_that_of_the_object_where_it_is_known():
    point = kept((10, 10), length=10.0, area=100.0, object=0)
    detections = [detection(1, "a", (13, 10)), detection(1, "b", (10.4, 10))]
    [pair] = model_versions(
        table_of(Made(1, [point], shown=False), detections=detections), PARAMETERS
    )
    assert (pair.neither.first_f1.value, pair.neither.second_f1.value) == (0.0, 1.0)


def test_every_pair_of_versions_is_compared_in_the_order_of_their_names():
    detections = [detection(1, name, (10, 10)) for name in ("c", "a", "b")]
    found = model_versions(table_of(Made(1, [kept((10, 10))]), detections=detections), PARAMETERS)
    assert [(each.first, each.second) for each in found] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_one_version_alone_is_compared_with_nothing():
    table = table_of(Made(1, [kept((10, 10))]), detections=[detection(1, "a", (10, 10))])
    assert model_versions(table, PARAMETERS) == []
