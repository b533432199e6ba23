"""The matrix of annotators and the detector, from tables made by hand."""

import numpy as np
import pytest
from agreement_table import Made, added, deleted, kept, table_of
from sklearn.metrics import cohen_kappa_score

from backend.agreement.meetings import meetings
from backend.agreement.pairs import Pairs, pairs
from backend.agreement.parameters import AgreementParameters

PARAMETERS = AgreementParameters()


def measured(*made: Made, parameters: AgreementParameters = PARAMETERS) -> Pairs:
    return pairs(meetings(table_of(*made), parameters), parameters)


def withheld(task: int, annotator: int, points: list) -> Made:
    return Made(task, points, annotator=annotator, shown=False)


def test_pairs_are_compared_on_the_tasks_that_both_annotated():
    two = [added((10, 10)), added((50, 50), "tail")]
    made = [
        withheld(task, annotator, points)
        for task in range(6)
        for annotator, points in (
            (7, [kept((10, 10), by=3), added((50, 50), "tail")]),
            (8, [added((10, 10)), deleted((10, 14))]),
            (9, two),
        )
        if annotator != 9 or task < 4
    ]
    found = measured(*made)
    assert list(found.parties) == ["detector", "7", "8", "9"]
    assert [(each.first, each.second, each.tasks) for each in found.pairs] == [
        ("detector", "7", 6), ("detector", "8", 6), ("detector", "9", 4),
        ("7", "8", 6), ("7", "9", 4), ("8", "9", 4),
    ]  # fmt: skip
    of = {(each.first, each.second): each for each in found.pairs}
    # {a, b} with {a'}, 3 px apart: 2/3, and 3 px of 100.
    assert of["7", "8"].f1.value == pytest.approx(2 / 3)
    assert of["7", "8"].distance_px.value == pytest.approx(3)
    assert of["7", "8"].normalised_error.value == pytest.approx(0.03)
    # Two points, 3 px and 0 px apart.
    assert of["7", "9"].f1.value == 1.0
    assert of["7", "9"].distance_px.value == pytest.approx(1.5)
    # The detector suggested one point to 7 and one, far from the other, to 8.
    assert of["detector", "7"].f1.value == pytest.approx(2 / 3)
    assert of["detector", "9"].f1.value == 0.0
    assert of["7", "9"].label_kappa.value == 1.0
    assert of["7", "9"].label_kappa.reason == "4 of at least 10 tasks"


def test_kappa_is_that_of_the_labels_of_paired_points_whoever_is_first():
    random, made, labels = np.random.default_rng(1), [], []
    for task in range(30):
        for _ in range(2):
            both = random.choice(["beak", "tail"], 2, p=[0.7, 0.3])
            if random.random() < 0.6:
                both[1] = both[0]
            labels.append(both.tolist())
        first, second = zip(*labels[-2:], strict=True)
        for annotator, own in ((2, second), (1, first))[:: 1 if task % 2 else -1]:
            made.append(
                withheld(task, annotator, [added((10 + 50 * n, 10), own[n]) for n in (0, 1)])
            )
    [_, _, found] = measured(*made).pairs
    assert (found.first, found.second) == ("1", "2")
    assert found.label_kappa.value == pytest.approx(cohen_kappa_score(*zip(*labels, strict=True)))
    assert found.label_kappa.low < found.label_kappa.value < found.label_kappa.high


def test_annotators_beyond_the_limit_are_counted():
    made = [
        withheld(task, annotator, [added((10, 10))])
        for task in range(6)
        for annotator in range(1, 6)
        if annotator < 5 or task == 0
    ]
    found = measured(*made, parameters=AgreementParameters(most_annotators_paired=4))
    assert list(found.parties) == ["detector", "1", "2", "3", "4"]
    assert found.left_out == 1
    assert len(found.pairs) == 4 + 6


def test_without_shared_withheld_tasks_there_are_no_pairs():
    made = [Made(task, [kept((10, 10))], annotator=who) for task in range(6) for who in (1, 2)]
    found = measured(*made, withheld(90, 1, [added((10, 10))]))
    assert (list(found.parties), found.left_out, list(found.pairs)) == ([], 0, [])
