"""Sums over the images of each group."""

import numpy as np

from backend.agreement.cells import ImageCells

GROUP, IMAGE = np.array([2, 0, 2, 0, 2]), np.array([1, 3, 1, 0, 0])
CELLS = ImageCells.of(GROUP, IMAGE, 4)


def test_there_is_a_cell_for_each_pair_of_group_and_image_that_occurs():
    assert [CELLS.of_group(group) for group in range(4)] == [
        slice(0, 2),
        slice(2, 2),
        slice(2, 4),
        slice(4, 4),
    ]


def test_values_are_summed_and_rows_counted_by_cell():
    cell = CELLS.find(GROUP, IMAGE)
    assert cell.tolist() == [3, 1, 3, 0, 2]
    assert CELLS.sums(cell, np.array([1.0, 2, 4, 8, 16])).tolist() == [8, 2, 16, 5]
    assert CELLS.sums(cell, None).tolist() == [1, 1, 1, 2]
    assert CELLS.sums(cell[:2], None).tolist() == [0, 1, 0, 1]


def test_no_rows_have_no_cells():
    empty = np.array([], np.int64)
    cells = ImageCells.of(empty, empty, 3)
    assert cells.of_group(2) == slice(0, 0)
    assert cells.sums(cells.find(empty, empty), None).tolist() == []
