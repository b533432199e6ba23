"""Packed verdicts."""

import numpy as np
from agreement_table import added, deleted, kept

from backend.verdicts.packing import pack, unpack


def test_what_is_packed_is_unpacked_with_the_labels_of_all_annotations():
    first = pack([kept((10, 20), number=3), deleted((5, 6), "tail", number=4)])
    second = pack([added((7, 8), "tail")])
    points, owner, labels = unpack([first, pack([]), second])
    assert (owner.tolist(), labels) == ([0, 0, 2], ["beak", "tail"])
    assert points["number"].tolist() == [3, 4, -1]
    assert points["suggested_label"].tolist() == [0, 1, -1]
    np.testing.assert_array_equal(points["suggested_x"], [10, 5, np.nan])
    np.testing.assert_array_equal(points["final_y"], [20, np.nan, 8])
