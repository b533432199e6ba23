"""Verdicts made from columns are those that the columns were made from."""

import numpy as np
import pytest
from agreement_table import Made, added, annotations_of, columns_of, deleted, kept

from backend.agreement.column_verdicts import ColumnVerdicts
from backend.agreement.columns import unpack_columns
from backend.verdicts.packing import pack

FIRST = [
    kept((10, 20), "beak", number=0, by=3, length=50.0, area=2000.0, object=1),
    deleted((5, 5), "tail", number=1),
    added((70, 80), "eye", hit=True),
]
SECOND = [kept((1, 2), "tail", number=0, final_label="beak", hit=False, score=None)]


def test_verdicts_come_back_as_they_were():
    columns = columns_of(Made(1, FIRST), Made(2, []), Made(3, SECOND))
    found = ColumnVerdicts(columns, [1, 2, 3])
    assert (found[1], found[3]) == (FIRST, SECOND)
    assert list(found) == [1, 3] and len(found) == 2  # the second has no points


def test_only_the_wanted_states_are_kept():
    found = ColumnVerdicts(columns_of(Made(1, FIRST), Made(2, SECOND)), [2])
    assert dict(found) == {2: SECOND}
    with pytest.raises(KeyError):
        found[1]


def test_they_are_found_where_annotations_were_put_in_another_order():
    made = [Made(1, FIRST, shown=False), Made(2, SECOND)]
    columns = unpack_columns(
        annotations_of(made), [pack(each.verdicts) for each in made], order=[1, 0]
    )
    assert [each.id for each in columns.annotations] == [2, 1]
    assert dict(ColumnVerdicts(columns, [1, 2])) == {2: SECOND, 1: FIRST}


def test_a_selection_of_neighbours_shares_the_memory_of_the_whole():
    columns = columns_of(Made(1, FIRST), Made(2, SECOND), Made(3, FIRST))
    together = columns.of_annotations(np.array([True, True, False]))
    apart = columns.of_annotations(np.array([True, False, True]))
    assert np.shares_memory(together.score, columns.score)
    assert not np.shares_memory(apart.score, columns.score)
    assert [len(each.verdict) for each in (together, apart)] == [4, 6]
