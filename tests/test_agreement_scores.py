"""Confusion of labels and reliability of scores, from columns made by hand."""

import pytest
from agreement_table import Made, added, columns_of, deleted, kept

from backend.agreement.parameters import AgreementParameters
from backend.agreement.scores import ConfusionCell, confusion, reliability

PARAMETERS = AgreementParameters()


def test_pairs_of_labels_are_counted_the_most_frequent_first():
    columns = columns_of(
        Made(1, [kept((10, 10)), kept((20, 20)), kept((30, 30), final_label="tail")]),
        Made(2, [deleted((10, 10)), added((5, 5), "wing"), kept((9, 9))]),
    )
    cells = confusion(columns, PARAMETERS)
    assert cells[0] == ConfusionCell("beak", "beak", 3)
    assert set(cells[1:]) == {
        ConfusionCell("beak", "tail", 1),
        ConfusionCell("beak", None, 1),
        ConfusionCell(None, "wing", 1),
    }


def test_only_as_many_cells_are_listed_as_the_parameters_say():
    columns = columns_of(Made(1, [kept((10, 10)), kept((20, 20)), deleted((30, 30))]))
    assert confusion(columns, AgreementParameters(most_labels_confused=1)) == [
        ConfusionCell("beak", "beak", 2)
    ]


def test_bins_of_scores_are_equal_in_size_and_say_how_many_were_untouched():
    low = [deleted((10, 10), score=0.1), kept((20, 20), score=0.2, by=30)]
    high = [kept((30, 30), score=0.8), deleted((40, 40), score=0.9), added((1, 1))]
    first, second = reliability(columns_of(Made(1, [*low, *high])), PARAMETERS)
    assert (first.low_score, first.high_score) == (0.1, 0.2)
    assert first.score == pytest.approx(0.15)
    assert (first.accepted.value, first.accepted.n) == (0.0, 2)
    assert (second.low_score, second.high_score) == (0.8, 0.9)
    assert (second.accepted.value, second.accepted.n) == (0.5, 2)


def test_there_are_as_many_bins_as_there_are_enough_suggestions_for():
    points = [kept((10, 10), score=place / 100) for place in range(60)]
    columns = columns_of(Made(1, points))
    assert len(reliability(columns, PARAMETERS)) == 3  # twenty each
    assert len(reliability(columns, AgreementParameters(fewest_in_a_bin=6))) == 10
    assert len(reliability(columns, AgreementParameters(fewest_in_a_bin=6, score_bins=4))) == 4


def test_equal_scores_are_in_one_bin():
    columns = columns_of(Made(1, [kept((10, 10), score=0.5) for _ in range(50)]))
    [only] = reliability(columns, PARAMETERS)
    assert (only.score, only.accepted.n) == (0.5, 50)


def test_suggestions_without_a_score_are_in_no_bin():
    assert reliability(columns_of(Made(1, [kept((10, 10), score=None)])), PARAMETERS) == []
