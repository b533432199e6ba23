"""Which verdicts contribute to which sum."""

import numpy as np
import pytest
from agreement_table import Made, added, columns_of, deleted, kept

from backend.agreement.parameters import AgreementParameters
from backend.agreement.tallies import contributions, count_verdicts

COLUMNS = columns_of(
    Made(
        1,
        [
            kept((10, 10), length=50.0, area=1000.0, object=0),
            kept((20, 20), by=10, length=50.0, area=1000.0, object=0),
            deleted((30, 30)),
            added((40, 40)),
        ],
    )
)


def test_each_sum_says_which_verdicts_contribute_with_which_value():
    found = contributions(COLUMNS, AgreementParameters())
    assert found.suggested.rows.tolist() == [True, True, True, False]
    assert found.final.rows.tolist() == [True, True, False, True]
    assert found.accepted.rows.tolist() == [True, False, False, False]
    assert found.paired.rows.tolist() == [True, True, False, False]
    assert found.image_error.values == pytest.approx([0, 0.1])
    assert found.object_error.values == pytest.approx([0, 0.2])
    assert (found.suggested.side, found.final_hit.side) == ("suggested", "final")


def test_the_similarity_of_an_object_is_the_mean_over_its_final_points():
    found = contributions(COLUMNS, AgreementParameters(sigma=0.1))
    moved = np.exp(-(10**2) / (2 * 1000 * (2 * 0.1) ** 2))
    assert found.similarity.values == pytest.approx([(1 + moved) / 2])
    assert found.objects.rows.tolist() == [0]


def test_an_object_is_divided_into_parts():
    parts = np.array([0, 1, 0, 0])
    found = contributions(COLUMNS, AgreementParameters(sigma=0.1), parts)
    assert len(found.similarity.values) == 2
    assert found.similarity.values[0] == pytest.approx(1.0)


def test_a_function_is_applied_to_every_sum():
    counts = contributions(COLUMNS, AgreementParameters(alphas=(0.05, 0.1))).map(
        lambda each: int(np.count_nonzero(each.rows))
    )
    assert (counts.suggested, counts.final, counts.paired_with_object) == (3, 3, 2)
    assert counts.image_within == (1, 2)


def test_verdicts_are_counted_by_group_and_kind():
    counts = count_verdicts(COLUMNS, np.array([0, 1, 1, 0]), 2)
    assert counts.tolist() == [[1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0]]
